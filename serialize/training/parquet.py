"""Reads the training data of an older artifact, which kept them as Parquet. Only this needs pyarrow."""

import json
import math
from io import BytesIO
from typing import Any

from serialize.errors import ArtifactError
from serialize.signature import Scalar

_NOTES = b"serialize"


def is_parquet(content: bytes) -> bool:
    """Whether the file is Parquet."""
    return content.startswith(b"PAR1")


def read_parquet(content: bytes) -> dict[str, Any]:
    """The file as `data` keeps it now: the forms of rows and targets, each with its columns. Raises ArtifactError if
    pyarrow is not installed; a damaged file can raise any error."""
    try:
        from pyarrow.parquet import ParquetFile  # noqa: PLC0415 - an artifact of today does not need it
    except ImportError:
        raise ArtifactError(
            "The artifact keeps its training data as Parquet, which needs pyarrow; run pip install "
            "'prediction-service[bulk]', or dump the model again."
        ) from None
    table = ParquetFile(BytesIO(content)).read()
    notes = json.loads(table.schema.metadata[_NOTES])
    columns = [_cells(table[name].to_pylist(), is_json=name in notes["json"]) for name in table.column_names]
    width = len(columns) - len(notes["y"]["signature"]["columns"])
    return {"X": {**notes["X"], "columns": columns[:width]}, "y": {**notes["y"], "columns": columns[width:]}}


def _cells(values: list[Any], *, is_json: bool) -> list[Scalar]:
    if is_json:
        return [None if value is None else json.loads(value) for value in values]
    return [None if isinstance(value, float) and math.isnan(value) else value for value in values]
