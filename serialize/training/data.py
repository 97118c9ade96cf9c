"""The training data that an artifact keeps: one Parquet file with the rows and the targets.

A cell is kept as the JSON value that an observation has for it, and the signature says how to make the training value
of it again. Reading gives what `fit` got: the container, the dtypes, the nulls and the categories. A frame of polars or
Arrow comes back as the pandas frame that the service gives the pipeline, and the index of a frame is not kept."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from serialize.declarations import Declarations
from serialize.errors import ArtifactError, DumpError, one_line
from serialize.formats.dataframes import as_pandas
from serialize.frame import Row, as_array, as_table, build_input, observations, scalars
from serialize.infer_signature import infer_signature
from serialize.signature import Scalar, Signature
from serialize.training.comparison import first_difference

_NOTES = "serialize"
_INT64 = (-(2**63), 2**63 - 1)


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
        built = build_input(self.signature, rows)
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
    """The data back from the file of an artifact with this signature. Raises ArtifactError."""
    from fastparquet import ParquetFile  # noqa: PLC0415 - serving does not read the file and need not import it

    try:
        file = ParquetFile(io.BytesIO(content))
        table = file.to_pandas(index=False)
        notes = json.loads(file.key_value_metadata[_NOTES])
        columns = [_cells(table[name], is_json=name in notes["json"]) for name in table.columns]
        width = len(signature.names)
        X = Form.from_json(notes["X"], signature)
        y = Form.from_json(notes["y"], Signature.from_json(notes["y"]["signature"]))
        return TrainingData(X.build(_rows(X, columns[:width])), y.build(_rows(y, columns[width:])))
    except Exception as error:  # a damaged file, or one of another version of this program, can raise any
        raise ArtifactError(f"The training data cannot be read ({one_line(error)}); dump the model again.") from error


def _has_names(y: Any) -> bool:
    y = as_pandas(y)
    return isinstance(y, pd.DataFrame) or (isinstance(y, pd.Series) and isinstance(y.name, str))


def _rows(form: Form, columns: Sequence[list[Scalar]]) -> list[dict[str, Scalar]]:
    return [dict(zip(form.signature.names, row, strict=True)) for row in zip(*columns, strict=True)]


def _written(X: Form, y: Form, rows: Sequence[Row], targets: Sequence[Row]) -> bytes:
    """Each column under its own name; a target whose name is taken gets underscores."""
    from fastparquet import write  # noqa: PLC0415 - as in `read`

    columns: dict[str, Any] = {}
    as_json: list[str] = []
    for form, found in ((X, rows), (y, targets)):
        for column in form.signature.names:
            name, values = column, [row[column] for row in found]
            while name in columns:
                name += "_"
            plain = _plain(values)
            if plain is None:
                as_json.append(name)
                plain = _objects([None if value is None else json.dumps(value) for value in values])
            columns[name] = plain
    notes = {"X": X.to_json(), "y": {**y.to_json(), "signature": y.signature.to_json()}, "json": as_json}
    buffer = _Buffer()
    write(
        "training.parquet",
        pd.DataFrame(columns),
        compression="GZIP",
        object_encoding="utf8",
        write_index=False,
        stats=False,
        custom_metadata={_NOTES: json.dumps(notes)},
        open_with=lambda path, mode: buffer,
    )
    return buffer.getvalue()


def _plain(values: list[Any]) -> Any:
    """A column of Parquet for values of one type; None for values of several types and for large integers."""
    match {type(value) for value in values if value is not None}:
        case kinds if kinds <= {str}:
            return _objects(values)
        case kinds if kinds == {bool}:
            return pd.array(values, dtype="boolean")
        case kinds if kinds == {float}:
            return np.array(values, dtype=float)
        case kinds if kinds == {int} and all(_fits(value) for value in values):
            return pd.array(values, dtype="Int64")
    return None


def _fits(value: Any) -> bool:
    return value is None or _INT64[0] <= value <= _INT64[1]


def _objects(values: Sequence[Any]) -> "pd.Series[Any]":
    return pd.Series(values, dtype=object)


def _cells(series: "pd.Series[Any]", *, is_json: bool) -> list[Scalar]:
    values = scalars(series)
    return [None if value is None else json.loads(str(value)) for value in values] if is_json else values


class _Buffer(io.BytesIO):
    """Stays open when the writer closes it."""

    def close(self) -> None:
        """Keeps the content."""
