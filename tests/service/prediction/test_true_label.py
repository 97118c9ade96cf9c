"""Which JSON values are accepted as true labels, by task."""

from typing import Any

import pytest

from serialize.task import Task
from service.errors import LISTED_FAULTS, InvalidBody
from service.prediction.true_label import LabelParser

BINARY = Task("binary", (False, True), True, 0.5)
STRINGS = Task("binary", ("no", "yes"), "yes", 0.5)
INTEGERS = Task("multiclass", (1, 2, 3))
FLOATS = Task("multiclass", (0.5, 1.0, 2.0))
REGRESSION = Task("regression")


@pytest.mark.parametrize(
    ("task", "value", "label"),
    [
        (BINARY, 1, True),
        (BINARY, 0.0, False),
        (STRINGS, "yes", "yes"),
        (INTEGERS, 2, 2),
        (INTEGERS, 2.0, 2),
        (FLOATS, 1, 1.0),
    ],
)
def test_a_class_is_accepted_in_its_equivalent_forms(task: Task, value: Any, label: Any) -> None:
    parsed = LabelParser(task).parse({"id": "a", "true_class": value})

    assert (parsed.key, parsed.label) == ('"a"', label)
    assert type(parsed.label) is type(label)


@pytest.mark.parametrize(
    ("task", "value"),
    [(BINARY, "true"), (BINARY, 2), (STRINGS, "Yes"), (STRINGS, 1), (INTEGERS, True), (INTEGERS, "2"), (INTEGERS, 4)],
)
def test_any_other_value_is_refused_and_the_fault_lists_the_classes(task: Task, value: Any) -> None:
    with pytest.raises(InvalidBody) as refused:
        LabelParser(task).parse({"id": 1, "true_class": value})

    (fault,) = refused.value.faults
    assert fault.pointer == "/true_class"
    assert fault.expected.startswith("one of ")


def test_a_true_value_is_a_number() -> None:
    assert LabelParser(REGRESSION).parse({"id": 1, "true_value": 3}).label == 3.0


def test_all_faults_are_reported_at_once() -> None:
    with pytest.raises(InvalidBody) as refused:
        LabelParser(BINARY).parse({"id": None, "true_class": "x", "proba": 1})

    assert {fault.pointer for fault in refused.value.faults} == {"/id", "/true_class", "/proba"}


def consistent(task: Task, *items: tuple[Any, Any]) -> list[tuple[str, Any]]:
    """The pointers and values of the faults of an array of (id, label)."""
    parser = LabelParser(task)
    payload = [{"id": id_, parser.name: label} for id_, label in items]
    try:
        parser.require_one_label_each([parser.parse(item) for item in payload], payload)
    except InvalidBody as error:
        return [(fault.pointer, fault.value) for fault in error.faults]
    return []


def test_two_labels_of_one_id_are_refused_at_both_places() -> None:
    items = [(1, 1), (2, 0), ("1", 0), (1, True), (1, False), (1.0, 0), (2, 0)]

    assert consistent(BINARY, *items) == [("/0/true_class", 1), ("/4/true_class", False), ("/5/true_class", 0)]
    assert consistent(STRINGS, ("a", "no"), ("a", "yes")) == [("/0/true_class", "no"), ("/1/true_class", "yes")]
    assert consistent(REGRESSION, (1, 3), (1, 3.5)) == [("/0/true_value", 3), ("/1/true_value", 3.5)]


def test_one_label_in_several_forms_is_one_label() -> None:
    assert consistent(BINARY, (1, 1), (1, True), (1.0, 1.0), ("1", 0)) == []
    assert consistent(INTEGERS, (1, 2), (1, 2.0)) == []
    assert consistent(REGRESSION, (1, 3), (1, 3.0), (2, 0.0), (2, -0.0)) == []


def test_the_listed_faults_of_two_labels_are_limited() -> None:
    items = [(i // 2, i % 2) for i in range(10_000)]

    assert len(consistent(BINARY, *items)) == LISTED_FAULTS
    assert len(consistent(BINARY, *((0, i % 2) for i in range(10_000)))) == LISTED_FAULTS
