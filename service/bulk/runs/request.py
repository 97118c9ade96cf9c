"""What a user asks for with `python -m service score`, and how it is carried out."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from time import perf_counter
from typing import IO

import service
from serialize.files.formats import FileFormat
from serialize.files.place_error import PlaceError
from serialize.files.places import InputFile, resolved, spooled
from service.bulk.files.folder import Folder, is_folder
from service.bulk.files.output import Output, format_of_output, new_place
from service.bulk.files.rows import CsvOptions
from service.bulk.log.same_log import SameLog
from service.bulk.runs.job import Job, Worker
from service.bulk.runs.parts_folder import PartsFolder
from service.bulk.runs.pools import Pool, Processes, ThisProcess
from service.bulk.runs.run import Advance, Run
from service.bulk.runs.run_file import RunFile
from service.bulk.scoring.layout import Layout
from service.bulk.scoring.part_scorer import Counts
from service.registry.chosen import chosen_model
from service.settings import Settings
from service.storage.connection import database_of
from service.storage.migrate import prepare


@dataclass(frozen=True, slots=True)
class Request:
    """The files to score, the place of the answers and of the rejected rows, the model, whether the rows are logged,
    and how many processes score, or the address of the scheduler of a cluster. `output_format` is that of standard
    output and of a folder of answers."""

    files: Sequence[InputFile]
    output: str
    rejects: str | None
    layout: Layout
    row_numbers: bool
    options: CsvOptions
    model: str | None
    output_format: FileFormat | None
    is_logged: bool
    replace: bool
    workers: int
    scheduler: str | None

    def carry_out(self, settings: Settings, progress: AbstractContextManager[Advance]) -> tuple[Counts, float]:
        """What became of the rows, and how many seconds that took after the model was loaded. Raises PlaceError,
        LayoutError, ArtifactError and ServiceError."""
        folder, files = self._folder(), self.files
        form = format_of_output(self.output, self.output_format) if folder is None else folder.format
        if folder is not None:
            _require_apart(folder.folder, files)
        same_log = SameLog.of(settings) if self.is_logged and self.scheduler is not None else None
        model = chosen_model(settings, self.model)
        compiled = settings.scorer == "compiled"
        job = Job(model.content, compiled, self.layout, self.row_numbers, self.is_logged, folder, same_log)
        if self.is_logged:
            prepare(database_of(settings))
        worker = Worker(job, model.artifact)
        began = perf_counter()
        with ExitStack() as stack:
            stack.callback(worker.close)
            files = [stack.enter_context(spooled(file)) for file in files]
            if folder is None:
                output = stack.enter_context(Output(self.output, form, replace=self.replace))
                run = self._run(stack, job, worker, files, progress)
                counts = run.to_file(output, stack.enter_context(self._rejects(replace=self.replace)))
            else:
                digests = {file.name: file.digest() for file in files}
                place = None if self.rejects is None else resolved(self.rejects)
                wanted = RunFile(model.content.digest, digests, self._named(form, settings), place)
                earlier = folder.earlier(wanted, replace=self.replace)
                # A run that goes on may replace only the rejects that it wrote itself.
                is_own = earlier is not None and earlier.rejects == place
                rejects = stack.enter_context(self._rejects(replace=self.replace or is_own))
                begun = self._begun(folder, wanted, earlier)
                run = self._run(stack, job, worker, files, progress)
                counts = run.to_folder(folder, begun, rejects)
        return counts, perf_counter() - began

    def _begun(self, folder: PartsFolder, wanted: RunFile, earlier: RunFile | None) -> RunFile:
        """The run, after the folder has its run file."""
        if earlier is None:
            folder.begin(wanted)
            return wanted
        if wanted.rejects in (None, earlier.rejects):
            return earlier
        begun = replace(earlier, rejects=wanted.rejects)
        folder.save(begun)
        return begun

    def _folder(self) -> PartsFolder | None:
        if not is_folder(self.output):
            return None
        return PartsFolder(Folder.at(self.output), self.output_format or FileFormat("parquet"))

    def _run(
        self,
        stack: ExitStack,
        job: Job,
        worker: Worker,
        files: Sequence[InputFile],
        progress: AbstractContextManager[Advance],
    ) -> Run:
        pool = stack.enter_context(self._pool(job, worker))
        return Run(files, self.options, self.layout, worker, pool, stack.enter_context(progress))

    def _pool(self, job: Job, worker: Worker) -> AbstractContextManager[Pool]:
        if self.scheduler is not None:
            from service.bulk.runs.cluster import Cluster  # noqa: PLC0415 - it needs the extra `dask`

            return Cluster(self.scheduler, job)
        return nullcontext(ThisProcess(worker)) if self.workers == 1 else Processes(job, self.workers)

    def _rejects(self, *, replace: bool) -> AbstractContextManager[IO[bytes] | None]:
        return nullcontext() if self.rejects is None else new_place(self.rejects, replace=replace)

    def _named(self, form: FileFormat, settings: Settings) -> dict[str, object]:
        """What else decides the answers, by name."""
        return {
            "--id": self.layout.id,
            "--keep": list(self.layout.kept),
            "--row-number": self.row_numbers,
            "--log": self.is_logged,
            "--sep": self.options.separator,
            "--encoding": self.options.encoding,
            "--format": form.name,
            "SCORER": settings.scorer,
            "prediction-service": service.__version__,
        }


def _require_apart(folder: Folder, files: Sequence[InputFile]) -> None:
    """Raises PlaceError if the folder of the answers has files of the input."""
    inside = next((file.name for file in files if folder.contains(file.path or file.name)), None)
    if inside is not None:
        raise PlaceError(f"{folder.place} has the input {inside}; name another folder for the answers.")


def apart(folder: Folder, files: Sequence[InputFile], places: Sequence[str]) -> list[InputFile]:
    """The files of the input without those below the folder of the answers, which may be below a folder of the input.
    A file that is one of the places itself stays, and all stay if no other is left."""
    named = {resolved(place) for place in places}
    others = [file for file in files if resolved(file.name) in named or not folder.contains(file.name)]
    return others or list(files)
