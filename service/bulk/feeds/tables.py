"""The rows of a feed as Arrow tables. The schema of a feed is always the same, whatever models are in the log, so that
its files can be read as one table. What can be of any type, such as an id or a class, is JSON text, in which 0 and "0"
differ."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from service.storage.feeds.rows import COLUMNS
from service.storage.feeds.tables import FeedName
from service.storage.tables import UtcField

_TIME = pa.timestamp("us", "UTC")
_KINDS = {
    "id": pa.int64(),
    "prediction_id": pa.int64(),
    **dict.fromkeys(("proba", "predicted_value", "threshold", "true_value"), pa.float64()),
    **dict.fromkeys(("created_at", "labelled_at"), _TIME),
    "is_correction": pa.bool_(),
}

SCHEMAS: dict[FeedName, pa.Schema] = {
    feed: pa.schema([(name, _KINDS.get(name, pa.string())) for name in names]) for feed, names in COLUMNS.items()
}


def table_of(feed: FeedName, rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    """A table of n rows, at least one, in the schema of the feed."""
    schema = SCHEMAS[feed]
    columns = zip(*rows, strict=True)
    return pa.table([_column(values, field.type) for values, field in zip(columns, schema, strict=True)], schema=schema)


def _column(values: tuple[Any, ...], kind: pa.DataType) -> pa.Array:
    if kind == pa.bool_():
        return pa.array(values, pa.int8()).cast(kind)
    return _times(values) if kind == _TIME else pa.array(values, kind)


def _times(values: tuple[Any, ...]) -> pa.Array:
    """Times as texts or datetimes. Texts in another form than that of this service are read one by one."""
    if not isinstance(values[0], str):
        return pa.array(values, _TIME)
    try:
        return pa.array(values, pa.string()).cast(_TIME)
    except pa.ArrowInvalid:
        return pa.array(map(UtcField().python_value, values), _TIME)
