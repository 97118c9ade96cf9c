"""Golden rows: observations whose outputs are recorded when a model is dumped and compared at every start. They include
a null of every nullable column, every category, an unseen value where they are accepted, and every extreme."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Self

import numpy as np
import pandas as pd

from serialize.checks.edge_rows import changed
from serialize.errors import ArtifactError, DumpError, one_line
from serialize.formats.datetimes import seconds
from serialize.frame import scalars
from serialize.model import Model
from serialize.signature import Column, Scalar
from serialize.task import Outputs

_TOLERANCE = 1e-9
_SINGLE_PRECISION_TOLERANCE = 1e-5
_IMPUTE = "impute nulls and handle unknown categories, or do not declare them"
_ENCODE = (
    'encode unseen values, as OneHotEncoder(handle_unknown="ignore") does, or leave these columns out of accept_unseen'
)


@dataclass(frozen=True, slots=True)
class GoldenRows:
    """n observations and their outputs, of shape (n, n_classes) or (n, 1). Outputs are equal if they differ by at most
    `tolerance`: absolute for a probability, relative for a predicted value above 1."""

    observations: tuple[Mapping[str, Scalar], ...]
    outputs: tuple[tuple[float, ...], ...]
    tolerance: float

    def verify(self, answers: Outputs, advice: str = "dump the model again") -> None:
        """Raises ArtifactError, with `advice` what to do, unless the answers of the same shape equal the recorded
        outputs."""
        apart = np.flatnonzero(~equal(answers, np.array(self.outputs), self.tolerance))
        if len(apart):
            first = int(apart[0])
            raise ArtifactError(
                f"{len(apart)} of {len(self.outputs)} golden rows give other outputs than when the model was "
                f"dumped (row {first}: {list(answers[first])} instead of {list(self.outputs[first])}); {advice}."
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
    null, category and extreme of a column. A declared null, category or unseen value has no training row and gets a
    made-up one. Raises DumpError if the pipeline cannot score one of those."""
    chosen = [rows[index] for index in telling_rows(model, table)] + _made_up(model, table, rows[0])
    outputs = model.outputs(chosen)
    tolerance = _SINGLE_PRECISION_TOLERANCE if model.single_precision else _TOLERANCE
    return GoldenRows(tuple(chosen), tuple(tuple(map(float, row)) for row in outputs), tolerance)


def equal(left: Outputs, right: Outputs, tolerance: float) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which rows of two outputs differ by at most the tolerance, of shape (n,); relative for values above 1."""
    if left.shape != right.shape:
        return np.zeros(len(right), dtype=bool)
    close: np.ndarray[Any, np.dtype[np.bool_]] = np.abs(left - right) <= tolerance * np.maximum(1.0, np.abs(right))
    return np.asarray(close.all(axis=1))


def telling_rows(model: Model, table: pd.DataFrame) -> list[int]:
    """The numbers of training rows that show every null, category and extreme of a column. A row that is
    already chosen is not chosen again for another fact."""
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
    null at once, every category that is only declared, and the same as for nulls with unseen values."""
    nullable = [column.name for column in model.signature if column.nullable]
    made_up = [{**row, name: None} for name in nullable]
    if len(nullable) > 1:
        made_up.append({**row, **dict.fromkeys(nullable)})
    for column in model.signature:
        seen = set(scalars(table[column.name])) if column.categories else set()
        made_up += [{**row, column.name: value} for value in column.categories or () if value not in seen]
    for observation in made_up:
        _refuse_unanswerable(model, observation, row, _IMPUTE)
    return made_up + _unseen(model, row)


def _unseen(model: Model, row: Mapping[str, Scalar]) -> list[dict[str, Scalar]]:
    """Observations with an unseen value: two of each column that accepts those, and all these columns at once. They are
    scored alone and together, because a pandas categorical numbers an unseen value by those in the other rows."""
    pairs = [
        (column.name, value)
        for column in model.signature
        if column.accepts_unseen
        for value in islice(
            column.unseen({*(column.categories or ()), *(column.levels.values if column.levels else ())}), 2
        )
    ]
    made_up = [{**row, name: value} for name, value in pairs]
    if len(dict(pairs)) > 1:
        made_up.append({**row, **dict(pairs)})
    for observation in made_up:
        _refuse_unanswerable(model, observation, row, _ENCODE)
    alone = [model.outputs([observation])[0] for observation in made_up]
    same = equal(model.outputs(made_up), np.array(alone), _SINGLE_PRECISION_TOLERANCE) if made_up else np.array([True])
    if not same.all():
        different = changed(made_up[int(same.argmin())], row)
        raise DumpError(f"The pipeline scores {different} differently beside other unseen values; let it {_ENCODE}.")
    return made_up


def _refuse_unanswerable(
    model: Model, observation: Mapping[str, Scalar], row: Mapping[str, Scalar], advice: str
) -> None:
    different = changed(observation, row)
    try:
        outputs = model.outputs([observation])
    except Exception as error:
        raise DumpError(
            f"The pipeline cannot score an observation with {different} ({one_line(error)}); let it {advice}."
        ) from error
    if not np.isfinite(outputs).all():
        raise DumpError(f"The pipeline gives no finite output for an observation with {different}; let it {advice}.")
