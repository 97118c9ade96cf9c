"""Has a registered model score rows of the log that it has not answered. To repeat it changes nothing, and what was
interrupted goes on where it ended."""

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from serialize import Artifact
from serialize.artifact import load_content
from serialize.errors import ArtifactError
from service.errors import InvalidBody
from service.prediction.artifact_scorer import scorer_of, verify
from service.prediction.observation import Observation, ObservationParser
from service.prediction.scoring import Score
from service.registry.registry import Registry
from service.storage.learning.scores import ShadowScores, Unscored
from service.storage.models.store import REGISTERED
from service.storage.session import Session

THE_MODEL = "(the model)"  # in place of a column: the values fit the signature, and the model cannot score them

_LEAST_PAUSE_SECONDS = 0.002


@dataclass(slots=True)
class Replayed:
    """How many rows were scored now, how many the model refused now, and for each column how many of these it was
    wrong in. `end` is the greatest id that was looked at."""

    scored: int = 0
    refused: int = 0
    columns: Counter[str] = field(default_factory=Counter)
    end: int = 0


class Replay:
    """Scores rows with one model. `compiled` says whether its compiled form, if it has one, scores, as in the
    service. For one caller at a time."""

    def __init__(self, session: Session, artifact: Artifact, *, compiled: bool) -> None:
        verify(artifact, compiled=compiled)
        self._version = artifact.version
        self._parser = ObservationParser(artifact.manifest.signature)
        self._scorer = scorer_of(artifact, compiled=compiled)
        self._session = session
        self._scores = ShadowScores(session.database)

    def run(
        self, since: datetime | None = None, after: int = 0, progress: Callable[[float], None] | None = None
    ) -> Replayed:
        """Scores the rows with ids above `after` that were made at or after a time and that are in the log now. Each
        block is a transaction, and a pause follows it, so that the service can write. `progress` takes the share that
        is done. Raises Unavailable, and what `progress` raises."""
        done = Replayed(end=after)
        if since is not None and not after:
            first = self._session.watch(lambda: self._scores.first(since))
            if first is None:
                return done
            done.end = first - 1
        last = self._session.watch(self._scores.last)
        total, passed = self._session.watch(lambda: self._scores.count(done.end, last)), 0
        while done.end < last:
            block = self._session.watch(lambda: self._scores.unscored(self._version, done.end, since))
            if block is None:
                break
            self._score(block, done)
            passed += block.size
            if progress is not None:
                progress(min(1.0, passed / total) if total else 1.0)
        self._session.close()
        return done

    def refused(self) -> int:
        """How many rows of the log the model has refused so far, through an open connection."""
        return self._scores.refused(self._version)

    def _score(self, block: Unscored, done: Replayed) -> None:
        scores: dict[int, Score | None] = {}
        parsed: dict[int, Observation] = {}
        for id_, text in block.rows:
            try:
                parsed[id_] = self._parser.parse({"id": 0, "observation": json.loads(text)})
            except InvalidBody as error:
                done.columns.update({_column(fault.pointer) for fault in error.faults})
                scores[id_] = None
        for id_, outcome in zip(parsed, self._scorer.score_apart(list(parsed.values())), strict=True):
            scores[id_] = _score_or_none(outcome, done)
        began = time.monotonic()
        if scores:
            rows = sorted(scores.items())
            self._session.run(lambda: self._scores.add(self._version, rows))
            time.sleep(max(_LEAST_PAUSE_SECONDS, time.monotonic() - began))
        refused = sum(score is None for score in scores.values())
        done.refused += refused
        done.scored += len(scores) - refused
        done.end = block.end


def replay_of(session: Session, registry: Registry, version: str, *, compiled: bool) -> Replay:
    """The replay of a registered model, which is loaded if it is signed, and gives the outputs of its golden rows.
    Raises UnknownModel, ArtifactError, also for a model without files, and Unavailable."""
    state = registry.model(version).state
    if state != REGISTERED:
        raise ArtifactError(f"Model {version} is {state}, so it has no files to score with; register it again.")
    return Replay(session, load_content(registry.content(version)), compiled=compiled)


def _score_or_none(outcome: Score | Exception, done: Replayed) -> Score | None:
    if isinstance(outcome, Score):
        return outcome
    if isinstance(outcome, MemoryError):  # of this machine now, not of the row
        raise outcome
    faults = outcome.faults if isinstance(outcome, InvalidBody) else ()
    done.columns.update({_column(fault.pointer) for fault in faults} or {THE_MODEL})
    return None


def _column(pointer: str) -> str:
    """The column that the pointer of a fault names."""
    name = pointer.removeprefix("/observation").removeprefix("/")
    return name.replace("~1", "/").replace("~0", "~") or THE_MODEL
