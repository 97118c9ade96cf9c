"""The rows of an array by column are those that are inserted for its records."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given

from serialize.task import Task
from service.prediction.arrays.rows import row_columns
from service.prediction.columns import ObservationColumns, RowColumns, ScoreColumns
from service.prediction.observation import key_of
from service.storage.statements import inserted_row
from tests.service.prediction.arrays.support import Drawn, drawn, each_score


def inserted(given: Drawn, observations: ObservationColumns) -> list[tuple[Any, ...]]:
    """The rows by way of a score for each item, without what all have in common."""
    each = zip(observations.keys, observations.texts, each_score(given.task, given.scores), strict=True)
    return [inserted_row(key, text, score, 0.5, "", None)[:6] for key, text, score in each]


def listed(rows: RowColumns, n: int) -> list[tuple[Any, ...]]:
    """The n rows with None in the columns that are null."""
    columns = [rows.observation_id, rows.observation, rows.proba, rows.probas, rows.predicted_class]
    filled = [column if column is not None else [None] * n for column in (*columns, rows.predicted_value)]
    return list(zip(*filled, strict=True))


def columns_of(given: Drawn) -> ObservationColumns:
    """Observations of one column with these ids."""
    texts = [f'{{"x":{i}}}' for i in range(len(given.ids))]
    return ObservationColumns(given.ids, list(map(key_of, given.ids)), {"x": range(len(texts))}, texts)


@given(drawn())
def test_the_rows_are_those_that_are_inserted_for_records(given: Drawn) -> None:
    observations = columns_of(given)

    rows = row_columns(given.task, observations, given.scores)

    assert repr(listed(rows, len(given.ids))) == repr(inserted(given, observations))  # -0.0 is not 0.0 here


@pytest.mark.parametrize(("n", "classes"), [(683, 3), (10_000, 4), (2, 5000)])
def test_long_arrays_and_many_classes_have_the_same_probabilities(n: int, classes: int) -> None:
    task = Task("multiclass", tuple(f'class\n"{i}"' for i in range(classes)))
    probas = np.random.default_rng(0).dirichlet([0.3] * classes, n)
    given = Drawn(task, [*range(n)], ScoreColumns(probas[:, 1].tolist(), [1] * n, probas))
    observations = columns_of(given)

    assert listed(row_columns(task, observations, given.scores), n) == inserted(given, observations)


def test_the_columns_of_the_other_tasks_are_null() -> None:
    observations = columns_of(Drawn(Task("regression"), ["a"], ScoreColumns([])))

    assert row_columns(Task("regression"), observations, ScoreColumns([1.5])) == RowColumns(
        ['"a"'], ['{"x":0}'], predicted_value=[1.5]
    )
    assert row_columns(Task("binary", ("no", "yes"), "yes", 0.5), observations, ScoreColumns([0.9], [1])) == RowColumns(
        ['"a"'], ['{"x":0}'], proba=[0.9], predicted_class=['"yes"']
    )


def test_no_observations_are_no_rows() -> None:
    task = Task("multiclass", (1, 2, 3))
    empty = ObservationColumns([], [], {"x": []}, [])

    assert row_columns(task, empty, ScoreColumns([], [], np.empty((0, 3)))) == RowColumns([], [], [], [], [])
