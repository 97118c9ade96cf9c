"""The compiled form of a model alone, on columns that are in memory already. It prints the seconds of the scoring."""

import sys
import time

import pyarrow.parquet as pq

from serialize import load
from service.bulk.files.typed_reader import BATCH_ROWS
from service.bulk.scoring.checked_column import ColumnChecker
from service.prediction.artifact_scorer import scorer_of
from service.process import keep_freed_memory


def main(model: str, source: str) -> None:
    """Scores the rows of a Parquet file."""
    keep_freed_memory()  # as the command does
    artifact = load(model)
    scorer = scorer_of(artifact, compiled=True)
    checkers = {column.name: ColumnChecker(column) for column in artifact.manifest.signature}
    batches = [
        {name: checker.check(batch.column(name), is_csv=False).values for name, checker in checkers.items()}
        for batch in pq.ParquetFile(source).iter_batches(BATCH_ROWS)
    ]
    began = time.perf_counter()
    for columns in batches:
        scorer.score_columns(columns)
    sys.stdout.write(f"{time.perf_counter() - began}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
