"""A run: all parts of some files are scored, and the answers written to one file or to a folder."""

from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from itertools import chain
from typing import IO

from serialize.files.places import InputFile
from service.bulk.files.output import Output
from service.bulk.files.parts import parts_of
from service.bulk.files.rows import CsvOptions
from service.bulk.runs.job import Task, Worker
from service.bulk.runs.parts_folder import PartsFolder, part_name
from service.bulk.runs.pools import Pool, in_order
from service.bulk.runs.run_file import RunFile
from service.bulk.scoring.layout import Layout
from service.bulk.scoring.part_scorer import Counts, ids_look_like_integers

# Takes the share of the work that is done, and the number of rows.
Advance = Callable[[float, int], object]


@dataclass(frozen=True, slots=True)
class Run:
    """The files to score and how. The worker is that of this process; the pool scores most parts."""

    files: Sequence[InputFile]
    options: CsvOptions
    layout: Layout
    worker: Worker
    pool: Pool
    advance: Advance

    def to_file(self, output: Output, rejects: IO[bytes] | None) -> Counts:
        """Writes all answers to one file, and the rejected rows to another one. Raises PlaceError, LayoutError and the
        exceptions of the model."""
        counts = Counts()
        for task, scored in in_order(self._tasks(), self.pool):
            for table in scored.tables:
                output.write(table)
            if rejects is not None:
                rejects.write(scored.rejects)
            self._count(counts, task, scored.counts)
        if output.is_empty:
            output.write(self.worker.nothing())
        return counts

    def to_folder(self, folder: PartsFolder, run: RunFile, rejects: IO[bytes] | None) -> Counts:
        """Writes the answers to each part that is not complete, and the rejected rows of all parts to one file. The
        counts are those of all parts. Raises the same."""
        done, counts, names = folder.done(), Counts(), list[str]()
        tasks = self._missing(done, names)
        while run.schema is None and (task := next(tasks, None)) is not None:
            schema = self.worker.schema(task)
            if schema is None:  # no row of the part has an answer
                self._count(counts, task, self.worker.run(task).counts)
                continue
            run = replace(run, schema=schema)  # the first answers decide the columns of all parts
            folder.save(run)
            tasks = chain([task], tasks)
        for task, scored in in_order((task._replace(schema=run.schema) for task in tasks), self.pool):
            self._count(counts, task, scored.counts)
        found = folder.finish(names, self.worker.nothing(), rejects)
        found.earlier = found.rows - counts.rows
        return found

    def _missing(self, done: Set[str], names: list[str]) -> Iterator[Task]:
        """The tasks that are not done. The names of all tasks are added to `names`."""
        for task in self._tasks():
            names.append(task.name)
            if task.name not in done:
                yield task

    def _tasks(self) -> Iterator[Task]:
        are_integers: bool | None = None  # as the first rows of CSV are
        for place, file in enumerate(self.files):
            for part in parts_of(file, self.options):
                if are_integers is None and file.format.name == "csv":
                    are_integers = ids_look_like_integers(part, self.layout)
                share = (place + part.share) / len(self.files)
                yield Task(part, part_name(place, part.number), bool(are_integers), None, share)

    def _count(self, counts: Counts, task: Task, found: Counts) -> None:
        counts.add(found)
        self.advance(task.share, counts.rows)
