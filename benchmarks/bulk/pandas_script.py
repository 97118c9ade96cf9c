"""What a data scientist would write: reads a Parquet file, lets the pipeline predict in chunks, and writes the answers.
It prints the seconds after the pipeline was loaded."""

import sys
import time

import joblib
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

_CHUNK = 100_000


def main(pipeline: str, source: str, target: str) -> None:
    """Scores a file with a pipeline that joblib has written."""
    model = joblib.load(pipeline)
    began = time.perf_counter()
    writer = None
    for batch in pq.ParquetFile(source).iter_batches(_CHUNK):
        rows = batch.to_pandas()
        probas = model.predict_proba(rows.drop(columns=["id", "Survived"]))[:, 1]
        answers = pd.DataFrame({"id": rows["id"], "predicted_class": probas >= 0.5, "proba": probas})
        table = pa.Table.from_pandas(answers, preserve_index=False)
        writer = writer or pq.ParquetWriter(target, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()
    sys.stdout.write(f"{time.perf_counter() - began}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
