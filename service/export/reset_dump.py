"""The log as a file: one prediction per line as JSON, with the labels that were replaced. The file is on the disk
before the caller gets its name."""

import re
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from peewee import Database

from service.errors import Unavailable
from service.export.atomic_file import new_file
from service.storage.deletion import LogDump
from service.storage.log_reader import Block, LogReader, log_reader

_ROWS_A_PAGE = 200


def dump_log(database: Database, name: str, *, folder: Path) -> LogDump:
    """Within a transaction: writes the whole log to a new file in the folder, page by page. When this returns, the
    file is complete and flushed to the disk. Raises Unavailable, and leaves no file, if it cannot be written."""
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    path = folder / f"{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}-{moment}-{secrets.token_hex(4)}.ndjson"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with new_file(path) as file:
            rows, last_id = _write(file, log_reader(database))
    except OSError as error:
        detail = f"The export cannot be written to EXPORTS ({error.strerror}), and nothing was removed."
        raise Unavailable(detail, reason="export-failed") from error
    return LogDump(path, rows, last_id)


def _write(file: IO[bytes], reader: LogReader) -> tuple[int, int]:
    """Writes the file and gives the number of rows and the last one's key."""
    rows = last_id = 0
    for block in reader.blocks(size=_ROWS_A_PAGE):
        if block.rows:
            file.writelines(_lines(block, reader))
            rows, last_id = rows + len(block.rows), int(block.rows[-1].id)
    return rows, last_id


def _lines(block: Block, reader: LogReader) -> Iterator[bytes]:
    corrections = reader.corrections(int(block.rows[0].id), int(block.rows[-1].id))
    return (row.whole_line(corrections.get(int(row.id), ())).encode() + b"\n" for row in block.rows)
