"""The training data that an artifact keeps: one file of compressed JSON with the rows and the targets by column.

A cell is kept as the JSON value that an observation has for it, and the signature says how to make the training value
of it again. Reading gives what `fit` got: the container, the dtypes, the nulls and the categories. A frame of polars or
Arrow comes back as the pandas frame that the service gives the pipeline, and the index of a frame is not kept."""

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from serialize.declarations import Declarations
from serialize.errors import ArtifactError, DumpError, one_line
from serialize.formats.dataframes import as_pandas
from serialize.frame import Row, as_array, as_table, build_input_by_column, observations
from serialize.infer_signature import infer_signature
from serialize.signature import Scalar, Signature
from serialize.training.comparison import first_difference
from serialize.training.parquet import is_parquet, read_parquet

_LEVEL = 6  # of gzip


@dataclass(frozen=True, slots=True)
class TrainingData:
    """The n rows `X` and the n targets `y` that a pipeline was fitted on, in the form that its `fit` got."""

    X: Any
    y: Any


@dataclass(frozen=True, slots=True)
class Form:
    """How rows or targets are made of JSON values: the signature, and what it does not say: whether they are a list, a
    Series without a name, or an array of shape (n,) with a text dtype."""

    signature: Signature
    is_list: bool = False
    is_unnamed: bool = False
    is_text: bool = False

    @classmethod
    def of(cls, data: Any, signature: Signature) -> Self:
        """The form of rows or targets with this signature."""
        data = as_pandas(data)
        return cls(
            signature,
            is_list=isinstance(data, list | tuple),
            is_unnamed=isinstance(data, pd.Series) and not isinstance(data.name, str),
            is_text=isinstance(data, np.ndarray) and data.ndim == 1 and data.dtype.kind == "U",
        )

    @classmethod
    def of_targets(cls, y: Any) -> Self:
        """The form of targets, whose signature is inferred. Raises DumpError for values that JSON cannot carry."""
        container, table = as_table(y, None if _has_names(y) else ["y"])
        dtype = str(as_array(y).dtype) if container == "array" else None
        return cls.of(y, infer_signature(container, table, dtype, Declarations.of()))

    def build(self, rows: Sequence[Row]) -> Any:
        """The rows or targets of n observations."""
        return self.build_by_column([[row[name] for row in rows] for name in self.signature.names])

    def build_by_column(self, columns: Sequence[Sequence[Scalar]]) -> Any:
        """The same for the n values of each column of the signature. Raises ValueError for another number of columns
        or for columns of different lengths."""
        if len({len(column) for column in columns}) > 1:
            raise ValueError("its columns have different lengths")
        built = build_input_by_column(self.signature, dict(zip(self.signature.names, columns, strict=True)))
        if self.is_unnamed:
            built.name = None
        if self.is_text and all(isinstance(value, str) for value in built):
            built = built.astype(np.str_)
        return built.tolist() if self.is_list else built

    def rows(self, data: Any) -> list[dict[str, Scalar]]:
        """The observations of data in this form."""
        return observations(self.table(data))

    def table(self, data: Any) -> pd.DataFrame:
        """Data in this form as a table with the column names of the signature."""
        return as_table(data)[1].set_axis(list(self.signature.names), axis=1)

    def to_json(self) -> dict[str, Any]:
        """The form as JSON, without the signature."""
        return {"list": self.is_list, "unnamed": self.is_unnamed, "text": self.is_text}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], signature: Signature) -> Self:
        """The form back from `to_json`."""
        return cls(signature, data["list"], data["unnamed"], data["text"])


def keep(X: Any, y: Any, signature: Signature) -> bytes:
    """The content of the file with n rows and n targets. It is read back and compared. Raises DumpError, which names
    the column, for data that the file cannot keep exactly."""
    try:
        forms = Form.of(X, signature), Form.of_targets(y)
        content = _written(*forms, forms[0].rows(X), forms[1].rows(y))
        found = read(content, signature)
    except (DumpError, ArtifactError) as error:
        raise DumpError(f"The training data cannot be kept: {error}") from error
    for name, form, given, kept in (("X_train", forms[0], X, found.X), ("y_train", forms[1], y, found.y)):
        if difference := first_difference(as_pandas(given), kept, form.signature.names):
            raise DumpError(
                f"{name} cannot be kept exactly in the artifact ({difference}); convert it and "
                "fit again, or leave the training data out."
            )
    return content


def read(content: bytes, signature: Signature) -> TrainingData:
    """The data back from the file of an artifact with this signature. Raises ArtifactError, also for a Parquet file of
    an older artifact if pyarrow is not installed."""
    try:
        kept = read_parquet(content) if is_parquet(content) else json.loads(gzip.decompress(content))
        X = Form.from_json(kept["X"], signature)
        y = Form.from_json(kept["y"], Signature.from_json(kept["y"]["signature"]))
        return TrainingData(X.build_by_column(kept["X"]["columns"]), y.build_by_column(kept["y"]["columns"]))
    except ArtifactError:
        raise
    except Exception as error:  # a damaged file, or one of another version of this program, can raise any
        raise ArtifactError(f"The training data cannot be read ({one_line(error)}); dump the model again.") from error


def _has_names(y: Any) -> bool:
    y = as_pandas(y)
    return isinstance(y, pd.DataFrame) or (isinstance(y, pd.Series) and isinstance(y.name, str))


def _written(X: Form, y: Form, rows: Sequence[Row], targets: Sequence[Row]) -> bytes:
    """The same data always give the same bytes. A number in JSON is exact to the last bit, and of any size."""
    kept = {
        "X": {**X.to_json(), "columns": _columns(X, rows)},
        "y": {**y.to_json(), "signature": y.signature.to_json(), "columns": _columns(y, targets)},
    }
    return gzip.compress(json.dumps(kept, separators=(",", ":")).encode(), _LEVEL, mtime=0)


def _columns(form: Form, rows: Sequence[Row]) -> list[list[Scalar]]:
    return [[row[name] for row in rows] for name in form.signature.names]
