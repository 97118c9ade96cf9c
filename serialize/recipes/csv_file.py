"""A CSV file with a header: reads it as a table, or cell by cell as text."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from serialize.errors import DumpError


@dataclass(frozen=True, slots=True)
class CsvFile:
    """A CSV file, its separator (one character) and its encoding. Messages call it `shown`, or by its path if that is
    None."""

    path: str | Path
    sep: str = ","
    encoding: str = "utf-8"
    shown: str | None = None

    @property
    def name(self) -> str:
        """The name of the file in messages."""
        return self.shown or str(self.path)

    def table(self, strings: Sequence[str] = ()) -> pd.DataFrame:
        """The rows; the columns `strings` are read as text, the others with the dtype that pandas infers. Raises
        DumpError for a file that is not a table, and for a column of `strings` that it does not have."""
        names = self._names()
        self.require(names, strings)
        return self._rows(dtype=dict.fromkeys(strings, str))

    def cells(self) -> pd.DataFrame:
        """Every cell as its text, an empty one as "". Raises DumpError for a file that is not a table."""
        self._names()
        return self._rows(dtype=str, na_filter=False)

    def with_leading_zeros(self, names: Sequence[str]) -> list[str]:
        """Those of these columns that hold a number with leading zeros, such as 00012. Raises DumpError."""
        if not names:
            return []
        cells = self._rows(usecols=list(names), dtype=str)
        return [name for name in names if cells[name].str.match(r"\s*[-+]?0[0-9]").any()]

    def require(self, names: Sequence[str], wanted: Sequence[str]) -> None:
        """Raises DumpError unless all `wanted` are among the column names."""
        for name in wanted:
            if name not in names:
                hint = "; if they should be several, give their separator with --sep" if len(names) == 1 else ""
                raise DumpError(f"{self.name} has no column {name!r}; its columns are {', '.join(names)}{hint}.")

    def _names(self) -> list[str]:
        header = self._read(header=None, nrows=1, dtype=str)
        names = header.iloc[0].dropna()
        twice = names[names.duplicated()]
        if len(twice):
            raise DumpError(f"{self.name} has two columns called {twice.iloc[0]!r}; rename one of them.")
        return list(map(str, self._read(nrows=0, index_col=False).columns))

    def _rows(self, **options: Any) -> pd.DataFrame:
        rows = self._read(low_memory=False, index_col=False, **options)
        if not len(rows):
            raise DumpError(f"{self.name} has a header but no rows.")
        return rows

    def _read(self, **options: Any) -> pd.DataFrame:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", pd.errors.ParserWarning)
                rows: pd.DataFrame = pd.read_csv(self.path, sep=self.sep, encoding=self.encoding, **options)
                return rows
        except pd.errors.ParserWarning:
            raise DumpError(
                f"{self.name} has rows with more values than its header has names; correct one of them, or give the "
                "separator with --sep."
            ) from None
        except (OSError, ValueError, LookupError) as error:
            hint = "; give its encoding, such as --encoding cp1252" if isinstance(error, UnicodeError) else ""
            raise DumpError(f"{self.name} cannot be read as CSV: {' '.join(str(error).split())}{hint}.") from error
