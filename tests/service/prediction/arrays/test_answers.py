"""The bytes of an answer by column are those of the records' answers."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from serialize.task import Task
from service.prediction.arrays.answers import answer
from service.prediction.columns import ScoreColumns
from service.prediction.observation import ObservationId, key_of
from service.prediction.record import Record
from service.web.problem import encoded
from tests.service.prediction.arrays.support import Drawn, drawn, each_score

BINARY = Task("binary", (False, True), True, 0.5)
THREE = Task("multiclass", ("a", "b", "c"))


def answered(given: Drawn, row_ids: Sequence[int]) -> bytes:
    """The answer by column."""
    return answer(given.task, given.ids, list(map(key_of, given.ids)), row_ids, given.scores)


def by_record(given: Drawn, row_ids: Sequence[int]) -> bytes:
    """The answer by way of a record for each item."""
    each = zip(row_ids, given.ids, each_score(given.task, given.scores), strict=True)
    now = datetime.now(UTC)
    return encoded([Record(row, id_, "{}", score, None, "", now).answer() for row, id_, score in each])


def probabilities(task: Task, n: int) -> ScoreColumns:
    """Probabilities for n observations, some of them tiny."""
    random = np.random.default_rng(n)
    probas = random.dirichlet([0.3] * len(task.classes), n)
    indices = random.integers(0, len(task.classes), n)
    numbers = probas[np.arange(n), indices].tolist()
    return ScoreColumns(numbers, indices.tolist(), probas if task.kind == "multiclass" else None)


@example(Drawn(BINARY, ["\x7f", "plain"], ScoreColumns([0.25, 1e-05], [1, 0])), 7)
@example(Drawn(BINARY, ["é", 'a "quote"\\'], ScoreColumns([5e-324, 1e16], [1, 0])), 2**40)
@given(drawn(), st.integers(1, 2**62))
def test_the_answer_has_the_bytes_of_the_answers_of_records(given: Drawn, first: int) -> None:
    row_ids = range(first, first + len(given.ids))

    assert answered(given, row_ids) == by_record(given, row_ids)


@given(drawn(2), st.data())
def test_the_row_ids_may_have_any_order(given: Drawn, data: st.DataObject) -> None:
    n = len(given.ids)
    row_ids = data.draw(st.lists(st.integers(1, 2**63 - 1), min_size=n, max_size=n))

    assert answered(given, row_ids) == by_record(given, row_ids)


@pytest.mark.parametrize("n", [1, 2047, 2048, 2049, 10_000])
@pytest.mark.parametrize("task", [BINARY, THREE], ids=["binary", "multiclass"])
def test_a_long_array_has_the_bytes_of_the_answers_of_records(task: Task, n: int) -> None:
    ids: list[ObservationId] = [f"passenger {i}" if i % 7 else i for i in range(n)]
    given = Drawn(task, ids, probabilities(task, n))

    assert answered(given, range(n)) == by_record(given, range(n))


def test_one_id_that_is_not_ascii_among_many_is_escaped() -> None:
    given = Drawn(BINARY, [*range(5000), "Zoë"], probabilities(BINARY, 5001))

    assert answered(given, range(5001)) == by_record(given, range(5001))


def test_a_task_of_very_many_classes_is_answered() -> None:
    task = Task("multiclass", tuple(range(5000)))
    given = Drawn(task, ["x", "y"], probabilities(task, 2))

    assert answered(given, [3, 4]) == by_record(given, [3, 4])


@pytest.mark.parametrize("task", [BINARY, THREE, Task("regression")], ids=lambda task: task.kind)
def test_no_items_are_an_empty_list(task: Task) -> None:
    assert answer(task, [], [], [], ScoreColumns([])) == encoded([]) == b"[]\n"


def test_the_answer_of_the_documentation() -> None:
    body = answer(THREE, ["a"], ['"a"'], [5], ScoreColumns([0.5], [1], np.array([[0.25, 0.5, 0.25]])))

    assert json.loads(body) == [
        {
            "id": 5,
            "observation_id": "a",
            "predicted_class": "b",
            "proba": 0.5,
            "true_class": None,
            "probas": {"a": 0.25, "b": 0.5, "c": 0.25},
        }
    ]
