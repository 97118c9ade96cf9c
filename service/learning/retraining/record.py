"""What is kept of a retraining as JSON: with the verdict in the registry and the job, and in the manifest."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from service.learning.gate.verdict import Outcome, Verdict
from service.learning.retraining.candidates import Candidate, Fitted
from service.learning.retraining.champion import ChampionModel
from service.learning.retraining.examples import Examples
from service.learning.retraining.holdout import Split
from service.learning.retraining.options import RetrainOptions
from service.learning.retraining.reading import Read, counts_of


def rows_json(read: Read, rows: Split, champion: ChampionModel) -> dict[str, Any]:
    """The numbers of rows, the windows of time, and the rows left out, with the reasons."""
    blocks = {"training": rows.training, "choosing": rows.choosing, "holdout": rows.holdout}
    return {
        "rows": {
            **counts_of(read),
            **{name: len(block) for name, block in blocks.items()},
            "left_out_of_holdout": dict(rows.left_out),
            "of_the_champions_time": rows.by_champion,
            "own": champion.own_rows,
            "own_left_out": dict(champion.own_left_out),
        },
        "windows": {name: window_json(block) for name, block in blocks.items()},
        "maturity_seconds": read.maturity / timedelta(seconds=1),
    }


def window_json(examples: Examples) -> dict[str, Any] | None:
    """The time and the keys of the oldest and the newest examples, None without any."""
    if not len(examples):
        return None
    return {
        "first_id": min(examples.ids),
        "last_id": max(examples.ids),
        "since": _text(examples.times[0]),
        "until": _text(examples.times[-1]),
    }


def training_record(candidate: str, fitted: Fitted, options: RetrainOptions) -> dict[str, Any]:
    """The record of a fit in the manifest: which rows of the log it saw, and none of their values."""
    return {
        "candidate": candidate,
        "rows": fitted.rows,
        "log_rows": len(fitted.examples),
        "window": window_json(fitted.examples),
        "settings": options.to_json(),
    }


def challenger_record(
    verdict: Verdict,
    job: int | None,
    champion: str,
    chosen: Candidate,
    candidates: Sequence[Candidate],
    facts: dict[str, Any],
) -> dict[str, Any]:
    """The verdict as it is stored with the challenger. `job` is the id of the job that judged it, if it was one."""
    return {
        **verdict.to_json(),
        "job": job,
        "judged_at": _text(datetime.now(UTC)),
        "champion": champion,
        "candidate": chosen.recipe.name,
        "candidates": [each.to_json() for each in candidates],
        **facts,
    }


def no_challenger(
    champion: str, outcome: Outcome, reason: str, candidates: Sequence[Candidate], facts: dict[str, Any]
) -> dict[str, Any]:
    """The result of a retraining without a challenger: nothing is stored."""
    reason = " ".join([reason, *_left_out(facts["rows"])])
    return {
        "champion": champion,
        "challenger": None,
        "outcome": outcome,
        "state": None,
        "promoted": False,
        "message": reason,
        "verdict": {
            "outcome": outcome,
            "reason": reason,
            "figures": {},
            "champion": champion,
            "candidate": None,
            "candidates": [each.to_json() for each in candidates],
            **facts,
        },
    }


def _left_out(rows: dict[str, Any]) -> list[str]:
    """Sentences that say which labelled rows could not judge."""
    found = []
    if rows["too_young"]:
        found.append(f"{rows['too_young']:,} labelled rows are too young.")
    if rows["of_the_champions_time"]:
        found.append(f"{rows['of_the_champions_time']:,} are not newer than the training of the champion.")
    reasons = {**rows["left_out"], **rows["left_out_of_holdout"]}
    if reasons:
        counted = ", ".join(f"{count:,} ({reason})" for reason, count in reasons.items())
        found.append(f"Left out: {counted}.")
    return found


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds")
