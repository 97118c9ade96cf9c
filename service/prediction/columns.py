"""The items of an array by column: what is parsed, how it is scored, and what is stored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from serialize.signature import Scalar
from serialize.task import Outputs
from service.prediction.observation import Observation, ObservationId


@dataclass(frozen=True, slots=True, eq=False)
class ObservationColumns:
    """n observations with n different ids. `keys` are the ids as canonical JSON, `values` the n values of each column
    in the signature's order, None if missing, and `texts` the values of each observation as canonical JSON."""

    ids: Sequence[ObservationId]
    keys: Sequence[str]
    values: Mapping[str, Sequence[Scalar]]
    texts: Sequence[str]

    def __len__(self) -> int:
        return len(self.keys)

    def observations(self) -> tuple[Observation, ...]:
        """The same observations one by one."""
        rows = zip(*self.values.values(), strict=True)
        each = [dict(zip(self.values, row, strict=True)) for row in rows]
        return tuple(map(Observation, self.ids, self.keys, each, self.texts))


class ScoreColumns(NamedTuple):
    """The scores of n observations. `numbers` are the probabilities as in `Score.proba`, or the predicted values.
    `class_indices` are indices into the classes of the task, or None for a regression. `probas` are all probabilities
    of a multiclass task, of shape (n, n_classes)."""

    numbers: Sequence[float]
    class_indices: Sequence[int] | None = None
    probas: Outputs | None = None


class RowColumns(NamedTuple):
    """The values of n new rows of the log, by column of the table; `probas` and `predicted_class` are JSON. None stands
    for a column that is null in each row."""

    observation_id: Sequence[str]
    observation: Sequence[str]
    proba: Sequence[float] | None = None
    probas: Sequence[str] | None = None
    predicted_class: Sequence[str] | None = None
    predicted_value: Sequence[float] | None = None
