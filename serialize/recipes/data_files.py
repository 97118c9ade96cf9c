"""Several files of a user as one table: their rows one after the other."""

import os.path
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from pandas.api.types import infer_dtype

from serialize.errors import DumpError
from serialize.files.formats import FileFormat
from serialize.files.local_files import local_paths
from serialize.files.places import input_files, resolved
from serialize.recipes.csv_file import CsvFile
from serialize.recipes.data_file import is_csv, read_table

_KINDS = {
    "string": "texts",
    "boolean": "booleans",
    "integer": "numbers",
    "floating": "numbers",
    "mixed-integer-float": "numbers",
}


@dataclass(frozen=True, slots=True)
class DataFiles:
    """One file or several with the same columns, each in a format of its own."""

    files: tuple[CsvFile, ...]

    def __str__(self) -> str:
        """How a message calls them."""
        first, others = self.files[0].name, len(self.files) - 1
        return f"{first} and {others} more file{'s' if others > 1 else ''}" if others else first

    @property
    def name(self) -> str:
        """The name of the file without its ending, or that of the folder with all the files."""
        first = Path(Path(self.files[0].name).name.removesuffix(".gz")).stem
        if len(self.files) == 1:
            return first
        paths = ["/" + resolved(file.name).replace("://", "/").lstrip("/") for file in self.files]
        return Path(os.path.commonpath(paths)).name or first

    def table(self, strings: Sequence[str] = ()) -> pd.DataFrame:
        """The n rows of all files with the columns of the first, as `read_table` reads them. A column with text in one
        file is read as text from all CSV files. Raises DumpError as `read_table`, and if the files do not have the same
        columns, or different kinds of values in one."""
        tables = [read_table(file, strings) for file in self.files]
        if len(tables) == 1:
            return tables[0]
        self._require_same_columns(tables)
        names = list(tables[0].columns)
        texts = [name for name in names if "texts" in (found := _kinds(tables, name)) and len(found) > 1]
        if texts:
            again = list(dict.fromkeys([*strings, *texts]))
            found_before = zip(self.files, tables, strict=True)
            tables = [read_table(file, again) if is_csv(file) else table for file, table in found_before]
        self._require_same_kinds(tables)
        # A column without a value has no type, so it must not change that of the column.
        rows = pd.concat([table.dropna(axis="columns", how="all") for table in tables], ignore_index=True)
        return rows.reindex(columns=names)

    def with_leading_zeros(self, names: Sequence[str]) -> list[str]:
        """Those of these columns that hold a number with leading zeros in a CSV file. Raises DumpError."""
        found = {name for file in self.files if is_csv(file) for name in file.with_leading_zeros(names)}
        return [name for name in names if name in found]

    def require(self, names: Sequence[str], wanted: Sequence[str]) -> None:
        """Raises DumpError unless all `wanted` are among the column names."""
        self.files[0].require(names, wanted)

    def _require_same_columns(self, tables: Sequence[pd.DataFrame]) -> None:
        names = list(tables[0].columns)
        for file, table in zip(self.files, tables, strict=True):
            lacking = [name for name in names if name not in table.columns]
            added = [name for name in table.columns if name not in names]
            if lacking or added:
                differences = [f"it has no {_listed(lacking)}"] if lacking else []
                differences += [f"only it has {_listed(added)}"] if added else []
                raise DumpError(
                    f"{file.name} has other columns than {self.files[0].name}: {', and '.join(differences)}; train on "
                    "files with the same columns."
                )

    def _require_same_kinds(self, tables: Sequence[pd.DataFrame]) -> None:
        for name in tables[0].columns:
            kinds = _kinds(tables, name)
            if len(kinds) > 1:
                (one, first), (other, second) = list(kinds.items())[:2]
                raise DumpError(
                    f"{self.files[second].name} has {other} in the column {name!r}, and {self.files[first].name} has "
                    f"{one}; train on files with the same kind of values."
                )


@contextmanager
def data_files(places: Sequence[str], sep: str, encoding: str) -> Iterator[DataFiles]:
    """The files of these places, as `input_files` finds them; one with an unknown ending is CSV with this separator and
    encoding. Copies of the files of an object store are here until the block ends. Raises PlaceError."""
    files = input_files(places, otherwise=FileFormat("csv"))
    with local_paths(files) as paths:
        found = zip(paths, files, strict=True)
        yield DataFiles(tuple(CsvFile(path, sep, encoding, file.name) for path, file in found))


def _kinds(tables: Sequence[pd.DataFrame], name: str) -> dict[str, int]:
    """The kinds of values in a column, each with the number of the first table that has it."""
    found: dict[str, int] = {}
    for place, table in enumerate(tables):
        kind = infer_dtype(table[name], skipna=True)
        if kind != "empty" and table[name].notna().any():
            found.setdefault(_KINDS.get(kind, kind), place)
    return found


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)
