"""Generated files of passengers: rows of the training data in random order, with ids and true classes."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from benchmarks.passengers import DATA

GROUP_ROWS = 500_000


def write_passengers(path: Path, rows: int, group_rows: int = GROUP_ROWS, first_id: int = 0) -> Path:
    """Writes n passengers, with ids from the first one on, to a Parquet file, in row groups of so many rows."""
    table = pa_csv.read_csv(DATA, convert_options=pa_csv.ConvertOptions(strings_can_be_null=True))
    rng = np.random.default_rng(0)
    with pq.ParquetWriter(path, table.schema.insert(0, pa.field("id", pa.int64()))) as writer:
        for first in range(0, rows, group_rows):
            ids = pa.array(first_id + np.arange(first, min(first + group_rows, rows)))
            chosen = table.take(pa.array(rng.integers(0, table.num_rows, len(ids))))
            writer.write_table(chosen.add_column(0, "id", ids))
    return path


def as_text(source: Path, target: Path) -> Path:
    """Writes a Parquet file again as CSV or NDJSON, by the ending of the target."""
    table = pq.read_table(source)
    if target.suffix == ".csv":
        pa_csv.write_csv(table, target)
    else:
        table.to_pandas().to_json(target, orient="records", lines=True)
    return target
