"""What the files of an export hold."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from peewee import Database

from service.storage.feeds.tables import FEEDS, LabelEvent
from service.storage.tables import Prediction


def files(folder: Path, feed: str) -> list[Path]:
    """The files of a feed, in the order of their ids."""
    return sorted((folder / feed).glob("day=*/*.parquet"), key=lambda path: int(path.stem.partition("-")[0]))


def table(folder: Path, feed: str) -> pa.Table:
    """The files of a feed as one table, which must have one schema."""
    return pa.concat_tables([pq.ParquetFile(path).read() for path in files(folder, feed)])


def rows(folder: Path, feed: str) -> list[dict[str, Any]]:
    """The rows of a feed in order; none without a file."""
    found: list[dict[str, Any]] = table(folder, feed).to_pylist() if files(folder, feed) else []
    return found


def require_all(database: Database, folder: Path) -> None:
    """Raises AssertionError unless each prediction and each label of the log is in one file, and nothing else is."""
    for feed, key in zip(FEEDS, (Prediction.id, LabelEvent.id), strict=True):
        stored = [id_ for (id_,) in key.model.select(key).order_by(key).tuples().execute(database)]
        assert [row["id"] for row in rows(folder, feed)] == stored, feed
