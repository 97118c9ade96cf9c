"""The rules of the gate: whether the challenger of a case may replace the champion."""

from typing import Any

from service.learning.gate.bootstrap import cluster_count
from service.learning.gate.case import Case
from service.learning.gate.comparison import LossDifference, difference_of
from service.learning.gate.coverage import coverage_json, dependence
from service.learning.gate.guards import LEAST_ROWS, GuardedGroup, guarded_groups
from service.learning.gate.levels import level
from service.learning.gate.losses import GateError, row_losses
from service.learning.gate.measures import measures
from service.learning.gate.missing import missing
from service.learning.gate.verdict import Outcome, Verdict


def judge(case: Case) -> Verdict:
    """Decides in this order: is there enough of everything, do the labels not depend on the answer, is the challenger
    better by more than the margin, does no guarded group get worse. The figures are complete in every case. Raises
    GateError for rows that cannot be compared, such as a prediction that is NaN."""
    case.require_lengths()
    if not 0 <= case.margin < 1:
        raise GateError(f"The margin is {case.margin}; expected a share of at least 0 and below 1.")
    champion = row_losses(case.kind, case.truth, case.champion, case.positive, "champion")
    challenger = row_losses(case.kind, case.truth, case.challenger, case.positive, "challenger")
    compared = difference_of(case.kind, champion, challenger, level(case.attempt), case.clusters)
    groups = guarded_groups(challenger - champion, case.guards, case.clusters)
    outcome, reason = _decide(case, compared, groups)
    return Verdict(outcome, reason, _figures(case, compared, groups))


def _decide(case: Case, compared: LossDifference, groups: list[GuardedGroup]) -> tuple[Outcome, str]:
    lacks = missing(case)
    if lacks:
        return "not enough", f"There is not enough to decide: {'; '.join(lacks)}."
    depends = dependence(case.coverage)
    if depends is not None:
        return "labels depend on the answer", depends
    least = case.margin * compared.first
    losses = f"{_shown(compared.first)} for the champion and {_shown(compared.second)} for the challenger"
    found = (
        f"The {compared.name.replace('_', ' ')} on {compared.rows:,} rows is {losses}; the {1 - compared.level:.2%} "
        f"interval of the difference is {_shown(compared.low)} to {_shown(compared.high)}"
    )
    if not compared.high < -least:
        return "not better", f"{found}, and not all of it is below -{_shown(least)} (the margin of {case.margin:.3g})."
    worse = [group for group in groups if group.is_worse]
    if worse:
        names = ", ".join(f"{group.column} = {group.value} ({_shown(group.difference)})" for group in worse)
        return "guarded group is worse", f"The challenger is better on all rows, but its loss rises for {names}."
    reason = f"{found}, all of it below -{_shown(least)} (the margin of {case.margin:.3g})."
    return "better", " ".join([reason, *_untested(case, groups)])


def _untested(case: Case, groups: list[GuardedGroup]) -> list[str]:
    tested = {group.column for group in groups}
    return [
        f"The guard {column} has no group of at least {LEAST_ROWS} rows and was not tested."
        for column in case.guards
        if column not in tested
    ]


def _figures(case: Case, compared: LossDifference, groups: list[GuardedGroup]) -> dict[str, Any]:
    return {
        **compared.to_json("champion", "challenger"),
        "margin": case.margin,
        "attempt": case.attempt,
        "labelled_since_last_attempt": case.new_labels,
        "clusters": None if case.clusters is None else cluster_count(case.clusters),
        **measures(case),
        "coverage": coverage_json(case.coverage),
        "guards": [group.to_json() for group in groups],
    }


def _shown(number: float) -> str:
    return f"{number:.4g}"
