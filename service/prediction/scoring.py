"""Scores observations with the model."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from serialize.errors import RefusedValue
from serialize.frame import Columns, Row
from serialize.task import TIE, Indices, Label, Outputs, Task
from service.errors import Fault, InvalidBody, pointer, shown
from service.prediction.columns import ScoreColumns
from service.prediction.observation import Observation

OutputsFunction = Callable[[Sequence[Row]], Outputs]
ClassesFunction = Callable[[Sequence[Row]], Indices]
ColumnOutputsFunction = Callable[[Columns], Outputs]

_TIED = -1


class Score(NamedTuple):
    """The prediction for one observation. A classifier sets `predicted_class` and the probability `proba`, which is
    that of the positive class (binary) or of the predicted class (multiclass). Multiclass also sets `probas`, every
    probability by label. A regression sets only `predicted_value`."""

    predicted_class: Label | None = None
    proba: float | None = None
    probas: Mapping[str, float] | None = None
    predicted_value: float | None = None


class Scorer:
    """Scores observations for a task. `outputs` returns the model's outputs, of shape (n, n_classes) or (n, 1), and
    `by_column` the same for observations by column. `classes` returns the indices of the classes that the pipeline
    itself predicts, which are needed for ties."""

    def __init__(
        self, task: Task, outputs: OutputsFunction, classes: ClassesFunction, by_column: ColumnOutputsFunction
    ) -> None:
        self.task = task
        if task.kind == "binary":
            self._positive, self._threshold = task.positive_index, task.threshold or 0.0
        self._outputs = outputs
        self._classes = classes
        self._by_column = by_column
        self._class_of, self._to_score = {
            "binary": (self._binary_class, self._binary),
            "multiclass": (_multiclass_class, self._multiclass),
            "regression": (_no_class, _regression),
        }[task.kind]

    def score(self, observations: Sequence[Observation]) -> list[Score]:
        """Scores n observations in one call of the model, and ties in a second one. Raises the exceptions of the
        model, and InvalidBody if an output is not finite."""
        values = [observation.values for observation in observations]
        rows = self._outputs(values).tolist()
        if not all(map(math.isfinite, map(sum, rows))):
            raise unscorable()
        classes = list(map(self._class_of, rows))
        if _TIED in classes:
            ties = [i for i, class_ in enumerate(classes) if class_ == _TIED]
            for i, class_ in zip(ties, self._classes([values[i] for i in ties]), strict=True):
                classes[i] = int(class_)
        return list(map(self._to_score, rows, classes))

    def score_columns(self, values: Columns) -> ScoreColumns:
        """Scores n observations, given as the n values of each column, in one call of the model, and ties in a second
        one. The scores and the exceptions are those of `score`."""
        numbers, classes, probas = self.score_arrays(values)
        return ScoreColumns(numbers.tolist(), None if classes is None else classes.tolist(), probas)

    def score_arrays(self, values: Columns) -> tuple[Outputs, Indices | None, Outputs | None]:
        """The same scores in arrays: the members of ScoreColumns, of shape (n,), (n,) and (n, n_classes)."""
        outputs = self._by_column(values)
        if not np.isfinite(outputs).all():
            raise unscorable()
        if self.task.kind == "regression":
            return outputs[:, 0], None, None
        classes = self.task.class_indices(outputs)
        ties = np.flatnonzero(self.task.tied(outputs)).tolist()
        if ties:
            classes[ties] = self._classes([{name: column[i] for name, column in values.items()} for i in ties])
        if self.task.kind == "binary":
            return outputs[:, self._positive], classes, None
        return np.take_along_axis(outputs, classes[:, None], axis=1)[:, 0], classes, outputs

    def score_apart(self, observations: Sequence[Observation]) -> list[Score | Exception]:
        """Like `score`, but isolates errors: if the batch raises, scores each observation alone and returns an error
        for each bad one, InvalidBody if the model refuses its values; it names the column if the model does."""
        try:
            return list(self.score(observations))
        except Exception:  # noqa: BLE001 - a model may raise anything
            return [self._score_alone(observation) for observation in observations]

    def _score_alone(self, observation: Observation) -> Score | Exception:
        try:
            return self.score([observation])[0]
        except InvalidBody as error:
            return error
        except RefusedValue as error:
            return _refused(error)
        except (ValueError, TypeError, OverflowError, KeyError):
            return unscorable()
        except Exception as error:  # noqa: BLE001 - web.problem logs it and answers
            return error

    def _binary_class(self, row: list[float]) -> int:
        above = row[self._positive] - self._threshold
        return _TIED if abs(above) <= TIE else self._positive if above > 0.0 else 1 - self._positive

    def _binary(self, row: list[float], class_: int) -> Score:
        return Score(self.task.classes[class_], row[self._positive])

    def _multiclass(self, row: list[float], class_: int) -> Score:
        probas = dict(zip(map(str, self.task.classes), row, strict=True))
        return Score(self.task.classes[class_], row[class_], probas)


def unscorable() -> InvalidBody:
    """The error for an observation that fits the signature but that the model cannot score."""
    expected = "values that the model can score"
    detail = "observation: the model cannot score these values; use values like those in the training data"
    return InvalidBody([Fault("/observation", detail, None, expected)])


def _refused(error: RefusedValue) -> InvalidBody:
    place = pointer("observation", error.column)
    detail = f"{error.column}: expected {error.expected}; got {shown(error.value)}"
    return InvalidBody([Fault(place, detail, error.value, error.expected)])


def _multiclass_class(row: list[float]) -> int:
    best = max(row)
    return _TIED if sum(best - proba <= TIE for proba in row) > 1 else row.index(best)


def _no_class(_row: list[float]) -> int:
    return 0


def _regression(row: list[float], _class: int) -> Score:
    return Score(predicted_value=row[0])
