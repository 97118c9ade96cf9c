"""Golden rows: observations whose outputs are recorded when a model is dumped and compared at every start. They include
a null of every nullable column, every category and every extreme."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from serialize.errors import ArtifactError, DumpError, one_line
from serialize.formats.dataframes import is_foreign
from serialize.formats.datetimes import seconds
from serialize.frame import scalars
from serialize.model import Model
from serialize.signature import Column, Scalar
from serialize.task import Outputs

_TOLERANCE = 1e-9
_SINGLE_PRECISION_TOLERANCE = 1e-5
_ALONE_ROWS = 20
_ONLY_PANDAS = (
    "The service passes a pandas DataFrame to the pipeline, which works only with its {} form ({}); convert the "
    "training data to pandas and fit again."
)


@dataclass(frozen=True, slots=True)
class GoldenRows:
    """n observations and their outputs, of shape (n, n_classes) or (n, 1). Outputs are equal if they differ by at most
    `tolerance`: absolute for a probability, relative for a predicted value above 1."""

    observations: tuple[Mapping[str, Scalar], ...]
    outputs: tuple[tuple[float, ...], ...]
    tolerance: float

    def verify(self, answers: Outputs) -> None:
        """Raises ArtifactError unless the answers, of the same shape, equal the recorded outputs."""
        apart = np.flatnonzero(~_equal(answers, np.array(self.outputs), self.tolerance))
        if len(apart):
            first = int(apart[0])
            raise ArtifactError(
                f"{len(apart)} of {len(self.outputs)} golden rows give other outputs than when the model was "
                f"dumped (row {first}: {list(answers[first])} instead of {list(self.outputs[first])}); install the "
                "library versions of the manifest, or dump the model again with those installed here."
            )

    def to_json(self) -> dict[str, Any]:
        """The golden rows as JSON."""
        rows = zip(self.observations, self.outputs, strict=True)
        return {
            "tolerance": self.tolerance,
            "rows": [{"observation": row, "output": list(output)} for row, output in rows],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The golden rows back from `to_json`."""
        rows = data["rows"]
        return cls(
            tuple(row["observation"] for row in rows), tuple(tuple(row["output"]) for row in rows), data["tolerance"]
        )


def choose(model: Model, table: pd.DataFrame, rows: list[dict[str, Scalar]]) -> GoldenRows:
    """Chooses the golden rows of a model from its training rows, given as a table and as observations: one for every
    null, category and extreme of a column. A declared null or category without a training row gets a made-up row.
    Raises DumpError if the pipeline cannot score one of those."""
    chosen = [rows[index] for index in _indices(model, table)] + _made_up(model, table, rows[0])
    outputs = model.outputs(chosen)
    tolerance = _SINGLE_PRECISION_TOLERANCE if model.single_precision else _TOLERANCE
    return GoldenRows(tuple(chosen), tuple(tuple(map(float, row)) for row in outputs), tolerance)


def verify_round_trip(model: Model, X: Any, rows: list[dict[str, Scalar]]) -> None:
    """Raises DumpError unless every training row, as a JSON observation, gets the outputs that the pipeline gives for
    the row of `X`, and a sample of rows gets the same outputs when scored one at a time."""
    tolerance = _SINGLE_PRECISION_TOLERANCE if model.single_precision else _TOLERANCE
    sample = np.unique(np.linspace(0, len(rows) - 1, _ALONE_ROWS).astype(int))
    try:
        direct, served = model.outputs_of(X), model.outputs(rows)
        alone = np.vstack([model.outputs([rows[index]]) for index in sample])
    except Exception as error:
        if is_foreign(X):
            raise DumpError(_ONLY_PANDAS.format(type(X).__module__.partition(".")[0], one_line(error))) from error
        raise DumpError(
            f"The pipeline cannot score training rows that come as JSON ({one_line(error)}); it must accept "
            "any number of rows in the form that it was fitted on."
        ) from error
    apart = np.flatnonzero(~_equal(served, direct, tolerance))
    if len(apart) and is_foreign(X):
        other = f"{len(apart)} of {len(rows)} training rows get other outputs"
        raise DumpError(_ONLY_PANDAS.format(type(X).__module__.partition(".")[0], other))
    if len(apart):
        raise DumpError(
            f"{len(apart)} of {len(rows)} training rows get other outputs when they come as JSON (the first is "
            f"row {int(apart[0])}). Either the pipeline is random or depends on the order of rows, or a column mixes "
            "None and NaN as nulls: use one of them in the whole column and fit again."
        )
    apart = sample[~_equal(alone, direct[sample], _SINGLE_PRECISION_TOLERANCE)]
    if len(apart):
        raise DumpError(
            f"Training row {int(apart[0])} gets another output when it is scored alone. The pipeline computes "
            "statistics of the rows that it predicts (a mean, a rank, dummies): compute these statistics in fit(), not "
            "in predict()."
        )


def _equal(left: Outputs, right: Outputs, tolerance: float) -> np.ndarray[Any, np.dtype[np.bool_]]:
    if left.shape != right.shape:
        return np.zeros(len(right), dtype=bool)
    close: np.ndarray[Any, np.dtype[np.bool_]] = np.abs(left - right) <= tolerance * np.maximum(1.0, np.abs(right))
    return np.asarray(close.all(axis=1))


def _indices(model: Model, table: pd.DataFrame) -> list[int]:
    """Row numbers that show every fact. A row that is already chosen is not chosen again for another fact."""
    taken = np.zeros(len(table), dtype=bool)
    taken[0] = True
    for column in model.signature:
        for positions in _facts(column, table[column.name]):
            if len(positions) and not taken[positions].any():
                taken[positions[0]] = True
    return [int(index) for index in np.flatnonzero(taken)]


def _facts(column: Column, series: "pd.Series[Any]") -> Iterator[np.ndarray[Any, np.dtype[np.intp]]]:
    """For every fact about a column (a null, a category, an extreme), the numbers of its rows in ascending order."""
    missing = series.isna().to_numpy()
    yield np.flatnonzero(missing)
    if missing.all():
        return
    if column.kind == "text":
        lengths = np.array([0 if value is None else len(str(value)) for value in scalars(series)])
        yield np.flatnonzero(~missing & (lengths == lengths[~missing].min()))
        yield np.flatnonzero(lengths == lengths.max())
    elif column.kind in ("category", "boolean"):
        codes = pd.factorize(series)[0]
        order = np.argsort(codes, kind="stable")
        yield from np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)
    else:
        if column.kind == "datetime":
            series = pd.Series([seconds(value) for value in scalars(series)], dtype=float)
        numbers = series.astype(object).where(~missing, np.nan).to_numpy(dtype=float)
        yield np.flatnonzero(numbers == np.nanmin(numbers))
        yield np.flatnonzero(numbers == np.nanmax(numbers))


def _made_up(model: Model, table: pd.DataFrame, row: Mapping[str, Scalar]) -> list[dict[str, Scalar]]:
    """Observations that are accepted but are not in the training rows: each nullable column null by itself, all of them
    null at once, and every category that is only declared."""
    nullable = [column.name for column in model.signature if column.nullable]
    made_up = [{**row, name: None} for name in nullable]
    if len(nullable) > 1:
        made_up.append({**row, **dict.fromkeys(nullable)})
    for column in model.signature:
        seen = set(scalars(table[column.name])) if column.categories else set()
        made_up += [{**row, column.name: value} for value in column.categories or () if value not in seen]
    for observation in made_up:
        _refuse_unanswerable(model, observation, row)
    return made_up


def _refuse_unanswerable(model: Model, observation: Mapping[str, Scalar], row: Mapping[str, Scalar]) -> None:
    changed = " and ".join(f"{name} {value!r}" for name, value in observation.items() if value != row[name])
    try:
        outputs = model.outputs([observation])
    except Exception as error:
        raise DumpError(
            f"The pipeline cannot score an observation with {changed} ({one_line(error)}). Let it "
            "impute nulls and handle unknown categories, or do not declare them."
        ) from error
    if not np.isfinite(outputs).all():
        raise DumpError(f"The pipeline gives no finite output for an observation with {changed}.")
