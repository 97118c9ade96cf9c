"""Scores observations with the model."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from serialize.signature import Scalar
from serialize.task import Label, Outputs, Task
from service.errors import Fault, InvalidBody
from service.prediction.observation import Observation

OutputsFunction = Callable[[Sequence[Mapping[str, Scalar]]], Outputs]


class Score(NamedTuple):
    """The prediction for one observation. A classifier sets `predicted_class` and the probability `proba`, which is
    that of the positive class (binary) or of the predicted class (multiclass). Multiclass also sets `probas`, every
    probability by label. A regression sets only `predicted_value`."""

    predicted_class: Label | None = None
    proba: float | None = None
    probas: Mapping[str, float] | None = None
    predicted_value: float | None = None


class Scorer:
    """Scores observations. `outputs` returns the model's outputs, of shape (n, n_classes) or (n, 1)."""

    def __init__(self, task: Task, outputs: OutputsFunction) -> None:
        self._task = task
        if task.kind == "binary":
            self._positive, self._threshold = task.positive_index, task.threshold
            self._sides = task.negative_class, task.positive_class
        self._outputs = outputs
        self._to_score = {"binary": self._binary, "multiclass": self._multiclass, "regression": _regression}[task.kind]

    def score(self, observations: Sequence[Observation]) -> list[Score]:
        """Scores n observations in one call of the model. Raises the exceptions of the model, and InvalidBody if an
        output is not finite."""
        rows = self._outputs([observation.values for observation in observations]).tolist()
        if not all(map(math.isfinite, map(sum, rows))):
            raise unscorable()
        return [self._to_score(row) for row in rows]

    def score_apart(self, observations: Sequence[Observation]) -> list[Score | Exception]:
        """Like `score`, but isolates errors: if the batch raises, scores each observation alone and returns an error
        for each bad one, InvalidBody if the model refuses its values."""
        try:
            return list(self.score(observations))
        except Exception:  # noqa: BLE001 - a model may raise anything
            return [self._score_alone(observation) for observation in observations]

    def _score_alone(self, observation: Observation) -> Score | Exception:
        try:
            return self.score([observation])[0]
        except InvalidBody as error:
            return error
        except (ValueError, TypeError, OverflowError, KeyError):
            return unscorable()
        except Exception as error:  # noqa: BLE001 - web.problem logs it and answers
            return error

    def _binary(self, row: list[float]) -> Score:
        proba = row[self._positive]
        assert self._threshold is not None
        return Score(self._sides[proba >= self._threshold], proba)

    def _multiclass(self, row: list[float]) -> Score:
        best = row.index(max(row))
        probas = dict(zip(map(str, self._task.classes), row, strict=True))
        return Score(self._task.classes[best], row[best], probas)


def unscorable() -> InvalidBody:
    """The error for an observation that fits the signature but that the model cannot score."""
    expected = "values that the model can score"
    detail = "observation: the model cannot score these values; use values like those in the training data"
    return InvalidBody([Fault("/observation", detail, None, expected)])


def _regression(row: list[float]) -> Score:
    return Score(predicted_value=row[0])
