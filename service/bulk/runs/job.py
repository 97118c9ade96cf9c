"""What a process needs to score the parts of a run."""

from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa

from serialize.artifact import Artifact, load_content
from serialize.content import Content
from service.bulk.files.parts import Part
from service.bulk.log.batch_log import BatchLog
from service.bulk.runs.parts_folder import PartsFolder
from service.bulk.scoring.layout import Layout
from service.bulk.scoring.part_scorer import PartScorer, ScoredPart
from service.prediction.artifact_scorer import answering_model, scorer_of
from service.settings import Settings


@dataclass(frozen=True, slots=True)
class Job:
    """The same for all parts of a run: the files of the model, whether its compiled form answers, the columns, whether
    the rows are logged, and the folder of the answers, if they are written to one."""

    content: Content
    compiled: bool
    layout: Layout
    row_numbers: bool
    is_logged: bool
    folder: PartsFolder | None


class Task(NamedTuple):
    """A part to score: its name in the run, whether the ids of CSV are integers, the columns of the output, if they are
    known, and the share of all files that has been read after this part."""

    part: Part
    name: str
    ids_are_integers: bool
    schema: pa.Schema | None
    share: float


class Worker:
    """Scores the parts of a run with a model of its own."""

    def __init__(self, job: Job, artifact: Artifact | None = None) -> None:
        """Loads the model and verifies it with its golden rows, unless it is given. Raises ArtifactError and
        LayoutError."""
        if artifact is None:
            artifact = load_content(job.content)
            artifact.verify(answering_model(artifact, compiled=job.compiled).outputs)
        self._log = None
        if job.is_logged:
            self._log = BatchLog.of(Settings.from_env(), artifact.manifest.task, artifact.version)
        self._scorer = PartScorer(
            artifact.manifest.signature,
            scorer_of(artifact, compiled=job.compiled),
            artifact.version,
            job.layout,
            row_numbers=job.row_numbers,
            log=None if self._log is None else self._log.append,
        )
        self._folder = job.folder

    def score(self, task: Task) -> ScoredPart:
        """The answers to a part. Raises PlaceError, LayoutError and the exceptions of the model."""
        return self._scorer.score(task.part, ids_are_integers=task.ids_are_integers)

    def run(self, task: Task) -> ScoredPart:
        """The same; answers that are written to a folder are not returned."""
        scored = self.score(task)
        if self._folder is None:
            return scored
        self._folder.write(task.name, scored, task.schema)
        return ScoredPart((), b"", scored.counts)

    def close(self) -> None:
        """Closes the connection to the log, if there is one."""
        if self._log is not None:
            self._log.close()

    def nothing(self) -> pa.Table:
        """The answers to no row."""
        return self._scorer.nothing()
