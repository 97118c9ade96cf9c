"""The three files of the original app as bytes. Reading them runs no code of theirs."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from serialize.errors import DumpError

COLUMNS = "columns.json"
DTYPES = "dtypes.pickle"
PIPELINE = "pipeline.pickle"


@dataclass(frozen=True, slots=True)
class OriginalFiles:
    """The column names, and the content of the two pickles, from the files in `folder`. `described` has one line for
    each pickle: its path, size and sha256."""

    folder: Path
    columns: tuple[str, ...]
    dtypes: bytes
    pipeline: bytes

    @property
    def described(self) -> list[str]:
        pickles = {DTYPES: self.dtypes, PIPELINE: self.pipeline}
        return [
            f"{self.folder / name}: {len(content):,} bytes, sha256 {hashlib.sha256(content).hexdigest()}"
            for name, content in pickles.items()
        ]


def read_files(folder: Path) -> OriginalFiles:
    """Reads each file once. Raises DumpError if one cannot be read, or if columns.json is not a list of names."""
    if not folder.is_dir():
        raise DumpError(f"{folder} is no folder; name the one with {COLUMNS}, {DTYPES} and {PIPELINE}.")
    contents = {name: _content(folder / name) for name in (COLUMNS, DTYPES, PIPELINE)}
    columns = _columns(folder / COLUMNS, contents[COLUMNS])
    return OriginalFiles(folder, columns, contents[DTYPES], contents[PIPELINE])


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DumpError(f"{path} is missing; the original app has {COLUMNS}, {DTYPES} and {PIPELINE}.") from None
    except OSError as error:
        raise DumpError(f"{path} cannot be read ({error.strerror}).") from error


def _columns(path: Path, content: bytes) -> tuple[str, ...]:
    try:
        names = json.loads(content)
    except (ValueError, RecursionError):
        names = None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise DumpError(f"{path} is not a JSON list of column names.")
    twice = [name for place, name in enumerate(names) if name in names[:place]]
    if twice:
        raise DumpError(f"{path} lists {twice[0]!r} twice.")
    return tuple(names)
