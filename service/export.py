"""The log as a file: one prediction a line as JSON, with the labels that were replaced, and on the disk before anybody
is told of it."""

import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from peewee import Database

from service.errors import Unavailable
from service.models import LabelCorrection, Prediction

_ROWS_A_PAGE = 200
_JSON = {"observation_id", "observation", "probas", "predicted_class", "true_class", "replaced_class"}
_CORRECTION = (
    LabelCorrection.replaced_class,
    LabelCorrection.replaced_value,
    LabelCorrection.labelled_at,
    LabelCorrection.replaced_at,
)


@dataclass(frozen=True, slots=True)
class Export:
    """A file that holds every prediction up to the one with the key `last_id` (0 where there was none)."""

    path: Path
    rows: int
    last_id: int


def export(database: Database, folder: Path, name: str) -> Export:
    """Within a transaction: writes the whole log to a new file in the folder, page by page. When this returns, the
    file is complete and flushed to the disk. Raises Unavailable, and leaves no file, where it cannot be written."""
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    path = folder / f"{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}-{moment}-{secrets.token_hex(4)}.ndjson"
    partial = path.with_suffix(".partial")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            rows, last_id = _write(partial, database)
            partial.rename(path)
            _flush(folder)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        detail = f"The export cannot be written to EXPORTS ({error.strerror}), and nothing was removed."
        raise Unavailable(detail, reason="export-failed") from error
    return Export(path, rows, last_id)


def _write(path: Path, database: Database) -> tuple[int, int]:
    """Writes the file and gives the number of rows and the last one's key."""
    rows = last_id = 0
    private = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(private, "w", encoding="ascii", newline="\n") as file:
        for row, corrections in _rows(database):
            listed = ",".join(map(_object, corrections))
            file.write(f'{_object(row)[:-1]},"corrections":[{listed}]}}\n')
            rows, last_id = rows + 1, row["id"]
        file.flush()
        os.fsync(file.fileno())
    return rows, last_id


def _rows(database: Database) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Each prediction with what was replaced of its labels, in the order of the keys, a page at a time."""
    last_id: int | None = None
    while True:
        query = Prediction.select().order_by(Prediction.id).limit(_ROWS_A_PAGE)
        page = list((query if last_id is None else query.where(Prediction.id > last_id)).dicts().execute(database))
        if not page:
            return
        last_id = page[-1]["id"]
        corrections = _corrections(database, page[0]["id"], page[-1]["id"])
        yield from ((row, corrections.get(row["id"], [])) for row in page)


def _corrections(database: Database, first: int, last: int) -> dict[int, list[dict[str, Any]]]:
    query = LabelCorrection.select(LabelCorrection.prediction.alias("of"), *_CORRECTION)
    between = query.where(LabelCorrection.prediction.between(first, last)).order_by(LabelCorrection.id)
    found: dict[int, list[dict[str, Any]]] = {}
    for row in between.dicts().execute(database):
        found.setdefault(row.pop("of"), []).append(row)
    return found


def _object(row: Mapping[str, Any]) -> str:
    return "{" + ",".join(f'"{name}":{_json(name, value)}' for name, value in row.items()) + "}"


def _json(name: str, value: Any) -> str:
    """A value as JSON in ASCII on one line; what is JSON already as it is, to the digit."""
    if isinstance(value, datetime):
        return f'"{value.isoformat(timespec="microseconds")}"'
    if name not in _JSON or value is None:
        return json.dumps(value)
    return value if value.isascii() and value.isprintable() else json.dumps(json.loads(value))


def _flush(folder: Path) -> None:
    """Flushes the folder, without which the name of a new file may be lost though its content is not."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
