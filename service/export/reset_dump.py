"""Dumps the log to a file before a reset: one prediction per line as JSON, with the labels that were replaced."""

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
from service.storage.reading.log_reader import Block, LogReader, log_reader

_BLOCK_ROWS = 200


def dump_log(database: Database, name: str, *, folder: Path) -> LogDump:
    """Within a transaction: writes the whole log to a new file in the folder and returns when the file is flushed to
    the disk. Raises Unavailable if it cannot be written, and then leaves no file."""
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
    """Returns the number of rows and the key of the last one."""
    rows = last_id = 0
    for block in reader.blocks(size=_BLOCK_ROWS):
        if block.rows:
            file.writelines(_lines(block, reader))
            rows, last_id = rows + len(block.rows), int(block.rows[-1].id)
    return rows, last_id


def _lines(block: Block, reader: LogReader) -> Iterator[bytes]:
    corrections = reader.corrections(int(block.rows[0].id), int(block.rows[-1].id))
    return (row.whole_line(corrections.get(int(row.id), ())).encode() + b"\n" for row in block.rows)
