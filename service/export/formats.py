"""Writes a table to a file block by block, as NDJSON or CSV. `parquet` writes the third format, by column."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from io import TextIOWrapper
from typing import IO, Any, Literal

TableKind = Literal["boolean", "integer", "number", "text", "moment", "json"]
Columns = Mapping[str, TableKind | None]
TableRow = Mapping[str, Any]
Blocks = Iterable[Sequence[TableRow]]

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_ndjson(file: IO[bytes], columns: Columns, blocks: Blocks) -> None:
    """Writes one JSON object per line."""
    for rows in blocks:
        file.writelines(json.dumps(row).encode() + b"\n" for row in rows)


def write_csv(file: IO[bytes], columns: Columns, blocks: Blocks, *, escape_formulas: bool) -> None:
    """Writes comma-separated values (RFC 4180) in UTF-8 with a header; a null is an empty field."""
    field = _escaped if escape_formulas else _exact
    text = TextIOWrapper(file, "utf-8", newline="", write_through=True)
    lines = csv.writer(text)
    lines.writerow([field(name) for name in columns])
    for rows in blocks:
        lines.writerows([field(value) for value in row.values()] for row in rows)
    text.detach()


def _escaped(value: Any) -> Any:
    """Puts an apostrophe before text that a spreadsheet would run as a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else _exact(value)


def _exact(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, bool) else value
