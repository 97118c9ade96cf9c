"""The formats of files by the endings of their names."""

from dataclasses import dataclass
from typing import Literal

FormatName = Literal["parquet", "csv", "ndjson", "arrow"]

TYPED: tuple[FormatName, ...] = ("parquet", "arrow")  # their cells have types, and a file must be seekable
_ENDINGS: dict[str, FormatName] = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".arrow": "arrow",
    ".feather": "arrow",
}
KNOWN = ".parquet, .csv, .ndjson, .jsonl, .arrow and .feather; CSV and NDJSON also with .gz"


@dataclass(frozen=True, slots=True)
class FileFormat:
    """What a file holds, and whether gzip has compressed it."""

    name: FormatName
    is_gzip: bool = False


def format_of(name: str) -> FileFormat | None:
    """The format of a file with this name, or None."""
    name = name.lower()
    plain = name.removesuffix(".gz")
    for ending, found in _ENDINGS.items():
        if plain.endswith(ending):
            is_gzip = plain != name
            return None if is_gzip and found not in ("csv", "ndjson") else FileFormat(found, is_gzip)
    return None


def ending_of(form: FileFormat) -> str:
    """The ending of the names of files with this format."""
    ending = next(ending for ending, name in _ENDINGS.items() if name == form.name)
    return f"{ending}.gz" if form.is_gzip else ending
