"""Retraining, from the labelled log to a challenger with its verdict, and to its promotion if the gate and the user
allow it. The model that is judged is the one that is registered: nothing is fitted after a look at the hold-out."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from joblib import parallel_config
from threadpoolctl import threadpool_limits

from serialize.artifact import Artifact
from serialize.content import read_content
from serialize.writing.refitted import dump_refitted
from service.errors import CannotLearn
from service.learning.checked_session import CheckedSession
from service.learning.gate.judge import judge
from service.learning.gate.losses import GateError
from service.learning.gate.verdict import Verdict
from service.learning.reporter import Reporter
from service.learning.retraining.attempts import Attempt, next_attempt
from service.learning.retraining.candidates import Candidate, best, choose, recipes
from service.learning.retraining.champion import ChampionModel, load_champion
from service.learning.retraining.fitting import Fitter
from service.learning.retraining.holdout import Split, split
from service.learning.retraining.judging import case_of, lacks
from service.learning.retraining.options import RetrainOptions
from service.learning.retraining.reading import Log, Read
from service.learning.retraining.record import challenger_record, no_challenger, rows_json, training_record
from service.learning.retraining.requirements import require_registry
from service.learning.retraining.storing import Storing
from service.registry.proof import prove
from service.registry.registry import Registry
from service.registry.release import registry_of
from service.settings import Settings
from service.storage.learning.rows import RowFilter

_READ, _FITTED, _WRITTEN, _JUDGED, _STORED = 0.2, 0.7, 0.8, 0.9, 0.95  # of the work
_PROOF_SECONDS = 6000  # twenty times the usual limit, because a process that is paced works a twentieth of the time


def retrain_job(settings: Settings, arguments: Mapping[str, Any], reporter: Reporter) -> Mapping[str, Any]:
    """The work of a job of the kind `retrain`. Raises InvalidBody for wrong arguments, and otherwise as `retrain`."""
    return retrain(settings, RetrainOptions.of(arguments), reporter)


def retrain(settings: Settings, options: RetrainOptions, reporter: Reporter) -> dict[str, Any]:
    """Fits the champion's pipeline again, judges it against the champion, and stores it with its verdict. Returns what
    happened as JSON: `champion` and `challenger` (versions), `outcome`, `state`, `promoted`, `message` and `verdict`.

    Run it in a process of its own: it unpickles the champion, and takes much memory and time. It uses one thread.
    Raises CannotLearn if that is impossible here, Cancelled from the reporter, and Unavailable."""
    session = CheckedSession(reporter)
    try:
        registry = require_registry(registry_of(settings, session))
        registry = replace(registry, prove=partial(prove, seconds=_PROOF_SECONDS))
        with threadpool_limits(1), parallel_config(backend="sequential"):
            return _Retraining(settings, options, reporter, registry).run()
    finally:
        session.close()


@dataclass(frozen=True, slots=True)
class _Retraining:
    """One retraining."""

    settings: Settings
    options: RetrainOptions
    reporter: Reporter
    registry: Registry

    def run(self) -> dict[str, Any]:
        options, registry = self.options, self.registry
        self.reporter.progress(0.0, "Loading the champion")
        done = self._storing.of_job(self.reporter.job)
        if done is not None:
            return done
        version = str(registry.promotions.champion())
        columns = [*([options.cluster] if options.cluster else []), *options.guards]
        champion = load_champion(registry, version, columns, options.own)
        log = Log(self.reporter.session, champion.artifact.manifest)
        read = log.read(options, self._on_rows)
        attempt = next_attempt(registry.store.models(), registry.promotions.history())
        new_labels = None if attempt.last is None else log.labelled_since(attempt.last, options.rows)
        rows = self._split(champion, log, read)
        facts = rows_json(read, rows, champion)
        lacking = lacks(champion.artifact.model, rows.holdout, options, attempt.number, new_labels)
        if lacking:
            reason = f"There is not enough to decide: {'; '.join(lacking)}."
            return self._storing.promoted_waiting(version) or no_challenger(version, "not enough", reason, [], facts)
        if not len(rows.chooses):
            reason = "The hold-out leaves no rows to learn from; wait for labels, or ask for a smaller hold-out."
            return no_challenger(version, "not enough", reason, [], facts)
        fitter = Fitter(champion.artifact, champion.base)
        candidates = self._candidates(fitter, rows)
        chosen = best(candidates)
        if chosen is None:
            reason = "No candidate beats a constant answer on the rows before the hold-out, so none was judged."
            return no_challenger(version, "not better", reason, candidates, facts)
        self.reporter.progress(_FITTED, f"Fitting {chosen.recipe.name}")
        with tempfile.TemporaryDirectory(prefix="retrained-") as folder:
            challenger = self._dump(fitter, champion, chosen, rows, Path(folder) / "artifact")
            content = read_content(Path(folder) / "artifact")
        self.reporter.progress(_JUDGED, "Judging the challenger on the hold-out")
        verdict = self._judge(champion, challenger, log, read, rows, attempt, new_labels)
        record = challenger_record(verdict, self.reporter.job, version, chosen, candidates, facts)
        self.reporter.progress(_STORED, "Storing the challenger")
        trained_until = max(rows.before.ids, default=None)
        return self._storing.store(content, verdict, record, chosen.recipe.name, trained_until)

    @property
    def _storing(self) -> Storing:
        wants = self.options.promote or self.settings.auto_promote
        return Storing(self.registry, wants, self.options.dry_run)

    def _on_rows(self, read: int, total: int) -> None:
        self.reporter.progress(_READ * read / max(total, 1), f"Reading the labelled rows, {read:,} of {total:,}")

    def _split(self, champion: ChampionModel, log: Log, read: Read) -> Split:
        known = champion.base_keys() | log.other_training_keys(champion.trained, read.examples, self._on_rows)
        task = champion.artifact.manifest.task
        return split(read.examples, task, champion.trained, known, self.options.holdout)

    def _candidates(self, fitter: Fitter, rows: Split) -> list[Candidate]:
        manifest = fitter.artifact.manifest
        tried = recipes(len(rows.training), self.options.window)
        candidates: list[Candidate] = []
        self._on_candidate(0, len(tried))
        for candidate in choose(tried, fitter.fit, manifest.task, manifest.signature, rows.training, rows.chooses):
            candidates.append(candidate)
            self._on_candidate(len(candidates), len(tried))
        return candidates

    def _on_candidate(self, done: int, total: int) -> None:
        share = _READ + (_FITTED - _READ) * done / total
        self.reporter.progress(share, f"Fitting the candidates, {done} of {total}")

    def _dump(self, fitter: Fitter, champion: ChampionModel, chosen: Candidate, rows: Split, folder: Path) -> Artifact:
        fitted = fitter.fit(chosen.recipe, rows.before)
        return dump_refitted(
            champion.artifact,
            fitted.pipeline,
            fitter.data(chosen.recipe, fitted.examples),
            folder,
            training=training_record(chosen.recipe.name, fitted, self.options),
            on_stage=lambda stage: self.reporter.progress(_WRITTEN, stage),
            base=champion.base if champion.own_rows else None,
        )

    def _judge(
        self,
        champion: ChampionModel,
        challenger: Artifact,
        log: Log,
        read: Read,
        rows: Split,
        attempt: Attempt,
        new_labels: int | None,
    ) -> Verdict:
        end = read.matured_at + timedelta(microseconds=1)
        coverage = log.coverage(
            RowFilter(self.options.rows.ids, rows.holdout.times[0], _least(end, self.options.rows.until))
        )
        case = case_of(
            champion.artifact.model,
            challenger.model,
            rows.holdout,
            self.options,
            coverage,
            attempt.number,
            new_labels,
            self.settings.gate_margin,
        )
        try:
            return judge(case)
        except GateError as error:
            raise CannotLearn(f"The models cannot be compared. {error}") from error


def _least(one: datetime, other: datetime | None) -> datetime:
    return one if other is None else min(one, other)
