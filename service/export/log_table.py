"""The log as a table with one row per prediction and one column per value, read row by row."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace

from service.export.formats import Blocks, Columns, TableRow
from service.export.table_schema import TableSchema, as_kind, observed, probas
from service.prediction.filter import PredictionFilter
from service.storage.reading.log_reader import Block, LogReader
from service.storage.reading.logged_row import LoggedRow

_SINGLE = tuple(name for name in LoggedRow._fields if name not in ("observation", "probas"))


def export_table(
    reader: LogReader,
    wanted: PredictionFilter,
    write: Callable[[Columns, Blocks], None],
    advance: Callable[[float], object],
) -> int:
    """Passes the matching rows of the present log to `write`, oldest first, and returns their number. Calls `advance`
    with the completed share of the work."""
    at = reader.snapshot()
    schema, rows = TableSchema(), 0

    def share(block: Block) -> float:
        return (block.end or at.last_id) / at.last_id if at.last_id else 1.0

    # Both passes must see the columns of a row that is labelled between them, so the first one ignores labels.
    for block in reader.blocks(replace(wanted, labelled=None), at=at):
        for row in block.rows:
            schema.learn(row)
        advance(share(block) / 2)
    columns = schema.columns

    def blocks() -> Iterator[list[TableRow]]:
        nonlocal rows
        for block in reader.blocks(wanted, at=at):
            yield [_table_row(row, columns) for row in block.rows]
            rows += len(block.rows)
            advance(0.5 + share(block) / 2)

    write(columns, blocks())
    return rows


def _table_row(row: LoggedRow, columns: Columns) -> TableRow:
    """The values of a row by column; a moment is ISO 8601 text."""
    own = {name: json.loads(getattr(row, name)) for name in _SINGLE}
    found = {**own, **observed(json.loads(row.observation)), **probas(row)}
    return {name: as_kind(found.get(name), kind) for name, kind in columns.items()}
