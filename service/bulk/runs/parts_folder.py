"""A folder of answers in parts. It tells which parts are complete, so that a run that was stopped goes on.

The answers to a part are written first, and then its entry, which holds the counts and the rejected rows. Both appear
whole, and a part always has the same content, so it may be written twice."""

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO, Any, TypeVar

import pyarrow as pa
from msgspec import Struct, convert

from serialize.files.formats import FileFormat, ending_of
from serialize.files.place_error import PlaceError
from service.bulk.files.folder import Folder
from service.bulk.files.output import Output
from service.bulk.runs.run_file import RUN_FILE, RunFile
from service.bulk.scoring.part_scorer import Counts, ScoredPart

_ENTRIES = "_done/"
_ENTRY_ENDING = ".ndjson"
_OWN = re.compile(r"part-\d{6,}-\d{6,}\.(parquet|csv|ndjson|arrow)|_done/part-\d{6,}-\d{6,}\.ndjson")

T = TypeVar("T")


class _StoredCounts(Struct):
    """The first line of an entry. A fault has its kind, its place and its number."""

    scored: int
    rejected: int
    replayed: int
    faults: list[tuple[str, str, int]]


@dataclass(frozen=True, slots=True)
class PartsFolder:
    """The answers to the parts of a run, each a file of its own. Each method raises PlaceError."""

    folder: Folder
    format: FileFormat

    def earlier(self, wanted: RunFile, *, replace: bool) -> RunFile | None:
        """The run with which this one goes on; None if it begins: in an empty folder, or with `replace` also in one
        with the answers of another run."""
        names = self.folder.names()
        has_run = RUN_FILE in names
        if has_run and not replace:
            found = self._read(RUN_FILE, RunFile.from_json)
            if (difference := wanted.difference(found)) is not None:
                raise PlaceError(
                    f"{self.folder.place} holds the answers of another run: {difference}. Name another folder, or use "
                    "--force to begin again."
                )
            return found
        if others := [name for name in names if not _is_partial(name) and not (has_run and _is_own(name))]:
            raise PlaceError(f"{self.folder.place} holds other files, such as {min(others)}; name an empty folder.")
        return None

    def begin(self, wanted: RunFile) -> None:
        """Removes what `earlier` lets this run replace, and writes the run file."""
        # The entries go first, and the run file is replaced last. So a stop in between leaves an earlier run in which
        # parts are missing.
        names = [name for name in self.folder.names() if name != RUN_FILE]
        self.folder.remove(sorted(names, key=lambda name: not name.startswith(_ENTRIES)))
        self.save(wanted)

    def save(self, run: RunFile) -> None:
        """Writes the run file."""
        self.folder.write(RUN_FILE, run.to_json())

    def write(self, name: str, scored: ScoredPart, schema: pa.Schema | None) -> None:
        """Writes the answers to a part and then its entry."""
        if scored.tables:
            self.write_tables(name, scored.tables, schema)
        counts = json.dumps(_counts_json(scored.counts)).encode() + b"\n"
        self.folder.write(f"{_ENTRIES}{name}{_ENTRY_ENDING}", counts + scored.rejects)

    def write_tables(self, name: str, tables: Sequence[pa.Table], schema: pa.Schema | None) -> None:
        """Writes the answers to a part."""
        file = f"{name}{ending_of(self.format)}"
        self.folder.make(file)
        with Output(self.folder.file(file), self.format, replace=True, schema=schema) as output:
            for table in tables:
                output.write(table)

    def done(self) -> frozenset[str]:
        """The names of the parts that are complete."""
        names = (name for name in self.folder.names() if name.startswith(_ENTRIES) and not _is_partial(name))
        return frozenset(name.removeprefix(_ENTRIES).removesuffix(_ENTRY_ENDING) for name in names)

    def finish(self, names: Sequence[str], nothing: pa.Table, rejects: IO[bytes] | None) -> Counts:
        """Copies the rejected rows of all parts, which have these names in order, to a file, and returns the counts of
        the run. If there are no answers, `nothing` becomes the first part."""
        if missing := set(names) - self.done():
            raise PlaceError(
                f"{len(missing)} parts were scored and are not in {self.folder.place}; the workers must write to the "
                "same folder that this process sees."
            )
        counts = Counts()
        for name in names:
            found, lines = self._read(f"{_ENTRIES}{name}{_ENTRY_ENDING}", _entry)
            counts.add(found)
            if rejects is not None:
                rejects.write(lines)
        if not counts.scored:
            self.write_tables(part_name(0, 0), [nothing], None)
        self.folder.remove([name for name in self.folder.names() if _is_partial(name)])
        return counts

    def _read(self, name: str, decode: Callable[[bytes], T]) -> T:
        content = self.folder.read(name)
        try:
            return decode(content)
        except (ValueError, OSError, pa.ArrowException) as error:
            raise PlaceError(
                f"{self.folder.file(name)} is not a file of this version; use --force to begin again."
            ) from error


def part_name(file: int, part: int) -> str:
    """The name of a part by the number of its file and its number in it; the names have the order of the input."""
    return f"part-{file:06d}-{part:06d}"


def _is_own(name: str) -> bool:
    return name == RUN_FILE or _OWN.fullmatch(name) is not None


def _is_partial(name: str) -> bool:
    """Whether it is what a process that was killed left behind."""
    return name.endswith(".partial") and name.rpartition("/")[2].startswith(".")


def _entry(content: bytes) -> tuple[Counts, bytes]:
    """The counts and the rejected rows in the entry of a part. Raises ValueError."""
    counts, _, rejects = content.partition(b"\n")
    found = convert(json.loads(counts), _StoredCounts)
    faults = Counter({(kind, place): number for kind, place, number in found.faults})
    return Counts(found.scored, found.rejected, found.replayed, faults), rejects


def _counts_json(counts: Counts) -> dict[str, Any]:
    faults = [[kind, place, number] for (kind, place), number in counts.faults.items()]
    return {"scored": counts.scored, "rejected": counts.rejected, "replayed": counts.replayed, "faults": faults}
