"""What a process needs to score the parts of a run."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import pyarrow as pa
from peewee import PeeweeException

from serialize.artifact import Artifact, load_content
from serialize.content import Content
from serialize.errors import ArtifactError, one_line
from serialize.files.place_error import PlaceError
from service.bulk.files.parts import Part
from service.bulk.log.batch_log import BatchLog
from service.bulk.log.same_log import SameLog
from service.bulk.runs.parts_folder import PartsFolder
from service.bulk.scoring.layout import Layout, LayoutError
from service.bulk.scoring.part_scorer import PartScorer, ScoredPart
from service.bulk.scoring.scored import ScoredBatch
from service.errors import ServiceError
from service.prediction.artifact_scorer import scorer_of, verify
from service.process import keep_freed_memory
from service.settings import Settings, SettingsError
from service.storage.bulk.run_ids import RunIds
from service.storage.connection import DatabaseError, failure


@dataclass(frozen=True, slots=True)
class Job:
    """The same for all parts of a run: the files of the model, whether its compiled form answers, the columns, whether
    the rows are logged, the folder of the answers, if they are written to one, and the log that all workers of a
    cluster must have, if they log."""

    content: Content
    compiled: bool
    layout: Layout
    row_numbers: bool
    is_logged: bool
    folder: PartsFolder | None
    same_log: SameLog | None = None


class Task(NamedTuple):
    """A part to score: its name in the run, whether the ids of CSV are integers, the columns of the output, if they are
    known, and the share of all files that has been read after this part."""

    part: Part
    name: str
    ids_are_integers: bool
    schema: pa.Schema | None
    share: float


class Shared(NamedTuple):
    """What workers share to log: `run_ids` those of the processes of a run, see PredictionAppender; and `turn` the
    threads of a process, of which one logs at a time."""

    run_ids: RunIds | None = None
    turn: AbstractContextManager[Any] = nullcontext()


class Worker:
    """Scores the parts of a run with a model of its own."""

    def __init__(
        self,
        job: Job,
        artifact: Artifact | None = None,
        shared: Shared | None = None,
    ) -> None:
        """Loads the model and verifies it with its golden rows, unless it is given. Raises ArtifactError and
        LayoutError."""
        shared = shared or Shared()
        if artifact is None:
            artifact = load_content(job.content)
            verify(artifact, compiled=job.compiled)
        self._log = None
        if job.is_logged:
            self._log = BatchLog.of(Settings.from_env(), artifact.manifest.task, artifact.version, shared.run_ids)
        self._scorer = PartScorer(
            artifact.manifest.signature,
            scorer_of(artifact, compiled=job.compiled),
            artifact.version,
            job.layout,
            row_numbers=job.row_numbers,
            log=None if self._log is None else self._logged,
        )
        self._folder = job.folder
        self._turn = shared.turn
        self.is_closed = False

    def score(self, task: Task) -> ScoredPart:
        """The answers to a part. Raises PlaceError, LayoutError and ArtifactError; an exception of the model becomes a
        PlaceError with one sentence."""
        with _one_sentence(f"{task.part.file.name} cannot be scored"):
            return self._scorer.score(task.part, ids_are_integers=task.ids_are_integers)

    def run(self, task: Task) -> ScoredPart:
        """The same; answers that are written to a folder are not returned. Raises the same."""
        scored = self.score(task)
        if self._folder is None:
            return scored
        self._folder.write(task.name, scored, task.schema)
        return ScoredPart((), b"", scored.counts)

    def schema(self, task: Task) -> pa.Schema | None:
        """The columns of the answers to a part, None if no row has an answer. Logs nothing. Raises the same."""
        with _one_sentence(f"{task.part.file.name} cannot be scored"):
            return self._scorer.schema(task.part, ids_are_integers=task.ids_are_integers)

    def close(self) -> None:
        """Closes the connection to the log, if there is one. After it, nothing is logged."""
        if self._log is not None:
            with self._turn:
                self.is_closed = True
                self._log.close()

    def nothing(self) -> pa.Table:
        """The answers to no row."""
        return self._scorer.nothing()

    def _logged(self, scored: ScoredBatch) -> ScoredBatch:
        assert self._log is not None
        with self._turn:
            if self.is_closed:
                raise PlaceError("The process was ended while it scored.")
            return self._log.append(scored)


# What a process gives to another one: a value, or a sentence that says why there is none. Not every exception can be
# sent, and one that cannot looks like a process that was killed.
LoadedWorker = Worker | str
Outcome = ScoredPart | str


def loaded(job: Job, shared: Shared) -> LoadedWorker:
    """A worker of this process, or why there is none. Call it once in a process."""
    keep_freed_memory()
    try:
        with _one_sentence("The model cannot be loaded"):
            return Worker(job, shared=shared)
    except (PlaceError, LayoutError, ArtifactError) as error:
        return str(error)


def outcome(worker: LoadedWorker, task: Task) -> Outcome:
    """The answers to a part, or why there are none."""
    if isinstance(worker, str):
        return worker
    try:
        return worker.run(task)
    except (PlaceError, LayoutError, ArtifactError) as error:
        return str(error)


def answers(found: Outcome) -> ScoredPart:
    """The answers that another process gave. Raises PlaceError with its sentence, if it gave none."""
    if isinstance(found, str):
        raise PlaceError(found)
    return found


@contextmanager
def _one_sentence(failed: str) -> Iterator[None]:
    """Turns other exceptions than PlaceError, LayoutError and ArtifactError into a PlaceError."""
    try:
        yield
    except (PlaceError, LayoutError, ArtifactError):
        raise
    except (SettingsError, DatabaseError, ServiceError) as error:  # their text is for the user
        raise PlaceError(str(error)) from error
    except PeeweeException as error:
        raise PlaceError(failure(error)) from error
    except Exception as error:
        raise PlaceError(f"{failed}: {one_line(error)}") from error
