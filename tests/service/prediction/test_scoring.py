"""The scores made from the outputs of a model."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from serialize.errors import RefusedValue
from serialize.task import Indices, Outputs, Task
from service.errors import InvalidBody
from service.prediction.observation import Observation
from service.prediction.scoring import Score, Scorer


def never(rows: Sequence[Mapping[str, Any]]) -> Indices:
    raise AssertionError("there is no tie")


def observation(x: float) -> Observation:
    return Observation(1, "1", {"x": x}, "")


def test_the_positive_class_is_predicted_above_the_threshold() -> None:
    scorer = Scorer(
        Task("binary", ("no", "yes"), "no", 0.3), lambda rows: np.array([[0.31, 0.69], [0.29, 0.71]]), never
    )

    assert scorer.score([observation(0), observation(1)]) == [Score("no", 0.31), Score("yes", 0.29)]


def test_multiclass_predicts_the_most_probable_class() -> None:
    scorer = Scorer(Task("multiclass", (1, 2, 3)), lambda rows: np.array([[0.2, 0.5, 0.3]]), never)

    assert scorer.score([observation(0)]) == [Score(2, 0.5, {"1": 0.2, "2": 0.5, "3": 0.3})]


@pytest.mark.parametrize(
    ("task", "outputs"),
    [
        (Task("binary", ("no", "yes"), "yes", 0.3), [[0.7, 0.3], [0.7, 0.3 + 1e-12], [0.6, 0.4]]),
        (Task("multiclass", ("no", "yes", "perhaps")), [[0.4, 0.4, 0.2], [0.4, 0.4 - 1e-12, 0.2], [0.2, 0.5, 0.3]]),
    ],
)
def test_the_pipeline_decides_ties(task: Task, outputs: list[list[float]]) -> None:
    asked: list[float] = []

    def classes(rows: Sequence[Mapping[str, Any]]) -> Indices:
        asked.extend(row["x"] for row in rows)
        return np.array([0, 1])

    scores = Scorer(task, lambda rows: np.array(outputs), classes).score([observation(x) for x in range(3)])

    assert [score.predicted_class for score in scores] == ["no", "yes", "yes"]
    assert asked == [0, 1]
    assert [score.proba for score in scores][:2] == (
        [0.3, 0.3 + 1e-12] if task.kind == "binary" else [0.4, 0.4 - 1e-12]
    )


def test_a_regression_predicts_a_value() -> None:
    assert Scorer(Task("regression"), lambda rows: np.array([[4.5]]), never).score([observation(0)]) == [
        Score(predicted_value=4.5)
    ]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_an_output_that_is_not_finite_is_refused(bad: float) -> None:
    with pytest.raises(InvalidBody):
        Scorer(Task("regression"), lambda rows: np.array([[bad]]), never).score([observation(0)])


def test_a_row_that_the_model_refuses_does_not_fail_the_other_rows() -> None:
    def outputs(rows: Sequence[Mapping[str, Any]]) -> Outputs:
        if any(row["x"] == 13 for row in rows):
            raise ValueError("unlucky")
        if any(row["x"] == 14 for row in rows):
            raise MemoryError
        return np.array([[float(row["x"])] for row in rows])

    scores = Scorer(Task("regression"), outputs, never).score_apart([observation(x) for x in (12, 13, 14, 15)])

    assert scores[0] == Score(predicted_value=12.0)
    assert isinstance(scores[1], InvalidBody)
    assert isinstance(scores[2], MemoryError)
    assert scores[3] == Score(predicted_value=15.0)


def test_a_value_that_the_model_refuses_by_name_is_named() -> None:
    def outputs(rows: Sequence[Mapping[str, Any]]) -> Outputs:
        if any(row["x"] > 13 for row in rows):
            raise RefusedValue("x", 14, "another number than y")
        return np.array([[row["x"]] for row in rows])

    first, second = Scorer(Task("regression"), outputs, never).score_apart([observation(13), observation(14)])

    assert first == Score(predicted_value=13)
    assert isinstance(second, InvalidBody)
    (fault,) = second.faults
    assert fault.to_json() == {
        "pointer": "/observation/x",
        "detail": "x: expected another number than y; got 14",
        "value": 14,
        "expected": "another number than y",
    }
