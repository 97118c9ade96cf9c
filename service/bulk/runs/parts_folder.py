"""A folder of answers in parts. It tells which parts are complete, so that a run that was stopped goes on.

The answers to a part are written first, and then its entry, which holds the counts and the rejected rows. Both appear
whole, and a part always has the same content, so it may be written twice."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

import pyarrow as pa

from service.bulk.files.folder import Folder
from service.bulk.files.formats import FileFormat, ending_of
from service.bulk.files.output import Output
from service.bulk.files.place_error import PlaceError
from service.bulk.runs.run_file import RUN_FILE, RunFile
from service.bulk.scoring.part_scorer import Counts, ScoredPart

_ENTRIES = "_done/"
_ENTRY_ENDING = ".ndjson"


@dataclass(frozen=True, slots=True)
class PartsFolder:
    """The answers to the parts of a run, each a file of its own. Each method raises PlaceError."""

    folder: Folder
    format: FileFormat

    def begin(self, wanted: RunFile, *, replace: bool) -> RunFile:
        """Begins a run in an empty folder, or goes on with the same run. `replace` removes what another run wrote.
        Returns the run with what is known of it."""
        names = self.folder.names()
        if RUN_FILE in names and not replace:
            found = RunFile.from_json(self.folder.read(RUN_FILE))
            if (difference := wanted.difference(found)) is not None:
                raise PlaceError(
                    f"{self.folder.place} holds the answers of another run: {difference}. Name another folder, or use "
                    "--force to begin again."
                )
            return found
        if others := [name for name in names if not _is_partial(name) and not (_is_own(name) and replace)]:
            raise PlaceError(f"{self.folder.place} holds other files, such as {min(others)}; name an empty folder.")
        self.folder.remove(sorted(names, key=lambda name: name != RUN_FILE))  # first the file that says what they are
        self.save(wanted)
        return wanted

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

    def entries(self) -> Iterator[tuple[Counts, bytes]]:
        """The counts and the rejected rows of each complete part, in the order of the input."""
        for name in sorted(self.done()):
            counts, _, rejects = self.folder.read(f"{_ENTRIES}{name}{_ENTRY_ENDING}").partition(b"\n")
            yield _counts(json.loads(counts)), rejects

    def finish(self, nothing: pa.Table, rejects: IO[bytes] | None) -> Counts:
        """Copies the rejected rows of all parts to a file, and returns the counts of the run. If there are no answers,
        `nothing` becomes the first part."""
        counts = Counts()
        for found, lines in self.entries():
            counts.add(found)
            if rejects is not None:
                rejects.write(lines)
        if not counts.scored:
            self.write_tables(part_name(0, 0), [nothing], None)
        self.folder.remove([name for name in self.folder.names() if _is_partial(name)])
        return counts


def part_name(file: int, part: int) -> str:
    """The name of a part by the number of its file and its number in it; the names have the order of the input."""
    return f"part-{file:05d}-{part:05d}"


def _is_own(name: str) -> bool:
    return name == RUN_FILE or name.startswith((_ENTRIES, "part-"))


def _is_partial(name: str) -> bool:
    """Whether it is what a process that was killed left behind."""
    return name.endswith(".partial") and name.rpartition("/")[2].startswith(".")


def _counts_json(counts: Counts) -> dict[str, Any]:
    faults = [[kind, place, number] for (kind, place), number in counts.faults.items()]
    return {"scored": counts.scored, "rejected": counts.rejected, "replayed": counts.replayed, "faults": faults}


def _counts(found: dict[str, Any]) -> Counts:
    faults = Counter({(kind, place): number for kind, place, number in found["faults"]})
    return Counts(found["scored"], found["rejected"], found["replayed"], faults)
