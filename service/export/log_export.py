"""The log as a table in a file: read twice, first to learn the columns and then to write them, a block at a time."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from service.export.formats import Blocks, Values
from service.export.log_table import Columns, LogTable, values_of
from service.prediction.filter import PredictionFilter
from service.storage.log_reader import LogReader


def export_table(
    reader: LogReader,
    wanted: PredictionFilter,
    write: Callable[[Columns, Blocks], None],
    advance: Callable[[float], object],
) -> int:
    """Hands what is wanted and was committed by now to `write`, oldest first, and gives the number of rows. `advance`
    is told the share of the work that is done."""
    at = reader.snapshot()
    table, rows = LogTable(), 0
    # A label that comes between the two readings must not bring a row that was not met before.
    for block in reader.blocks(replace(wanted, labelled=None), at=at):
        for row in block.rows:
            table.learn(row)
        advance((block.end or at.last_id) / at.last_id / 2 if at.last_id else 0.5)
    columns = table.columns

    def blocks() -> Iterator[list[Values]]:
        nonlocal rows
        for block in reader.blocks(wanted, at=at):
            yield [values_of(row, columns) for row in block.rows]
            rows += len(block.rows)
            advance(0.5 + (block.end or at.last_id) / at.last_id / 2 if at.last_id else 1)

    write(columns, blocks())
    return rows
