"""The rows of a range, in blocks. A block is one short statement, so that a reader never delays a checkpoint, a vacuum
or a writer."""

from collections.abc import Iterator
from typing import Any

from service.storage.feeds.ranges import Range
from service.storage.feeds.tables import FeedName
from service.storage.session import Session

COLUMNS: dict[FeedName, tuple[str, ...]] = {
    "predictions": (
        "id",
        "observation_id",
        "observation",
        "predicted_class",
        "probas",
        "proba",
        "predicted_value",
        "threshold",
        "model_version",
        "created_at",
    ),
    "labels": (
        "id",
        "prediction_id",
        "observation_id",
        "true_class",
        "true_value",
        "labelled_at",
        "is_correction",
    ),
}
_FROM: dict[FeedName, str] = {
    "predictions": f"SELECT {', '.join(COLUMNS['predictions'])} FROM prediction AS feed",
    # A subquery, because PostgreSQL may take a hash of all predictions for a join.
    "labels": (
        "SELECT id, prediction_id, (SELECT observation_id FROM prediction WHERE id = prediction_id), true_class, "
        "true_value, labelled_at, CASE WHEN is_correction THEN 1 ELSE 0 END FROM label_event AS feed"
    ),
}
_BLOCK_ROWS = 4_000
_BLOCK_CHARACTERS = 16 * 1024 * 1024
_FIRST_ROWS = 1_000


def blocks(session: Session, one: Range) -> Iterator[list[tuple[Any, ...]]]:
    """The rows of a range by their ids, in blocks of at most 4,000 rows, and fewer if they are long. JSON is text;
    a time is text in SQLite and a datetime in PostgreSQL. Raises Unavailable."""
    param = session.database.param
    statement = f"{_FROM[one.feed]} WHERE feed.id > {param} AND feed.id <= {param} ORDER BY feed.id LIMIT {param}"
    after, size = one.first - 1, _FIRST_ROWS
    while True:
        values = (after, one.last, size)
        rows = session.watch(lambda: session.database.execute_sql(statement, values).fetchall())  # noqa: B023
        if rows:
            yield rows
        if len(rows) < size:
            return
        after = rows[-1][0]
        characters = sum(len(row[2]) for row in rows)
        size = max(1, min(_BLOCK_ROWS, _BLOCK_CHARACTERS * len(rows) // max(1, characters)))
