"""An array of labels is the same as its items one by one, or is left to the parser of single items."""

import gc
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serialize.task import Task
from service.errors import ServiceError
from service.prediction.arrays.array_decoder import ArrayDecoder
from service.prediction.arrays.label_array import LabelArrayParser
from service.prediction.strict_json import decode
from service.prediction.true_label import LabelParser, TrueLabel
from tests.support.array_bodies import broken, plain_labels, written

TASKS = {
    "binary": Task("binary", (False, True), True, 0.5),
    "strings": Task("binary", ("no", "yes"), "yes", 0.5),
    "odd strings": Task("multiclass", ("a:b", 'd"é', "", "1")),
    "integers": Task("multiclass", (1, 2, 3)),
    "floats": Task("multiclass", (0.5, 1.0, 2.0, 1e20)),
    "regression": Task("regression"),
}


def one_by_one(task: Task, body: bytes) -> tuple[TrueLabel, ...] | None:
    """The labels of a body that is an array of valid items, or None."""
    try:
        payload = decode(body)
        return tuple(map(LabelParser(task).parse, payload)) if isinstance(payload, list) else None
    except ServiceError:
        return None


def parsed(task: Task, body: bytes) -> tuple[TrueLabel, ...] | None:
    """What the parser of arrays gives, after a comparison with the items one by one."""
    labels = LabelArrayParser(task).parse(body)
    if labels is not None:
        assert repr(labels) == repr(one_by_one(task, body)), body  # it shows types and the sign of a zero
    return labels


@pytest.mark.parametrize("name", TASKS)
@given(random=st.randoms(use_true_random=False), items=st.integers(1, 5))
def test_a_plain_array_is_parsed_as_its_items_are_one_by_one(name: str, random: Random, items: int) -> None:
    labels = parsed(TASKS[name], written(random, plain_labels(random, TASKS[name], items)))

    assert labels is not None
    assert len(labels) == items


@pytest.mark.parametrize("name", TASKS)
@given(random=st.randoms(use_true_random=False), items=st.integers(1, 4))
def test_a_broken_array_is_parsed_as_its_items_are_or_not_at_all(name: str, random: Random, items: int) -> None:
    parsed(TASKS[name], broken(random, plain_labels(random, TASKS[name], items)))


@given(st.sampled_from(sorted(TASKS)), st.binary())
def test_any_bytes_are_parsed_as_the_items_are_or_not_at_all(name: str, body: bytes) -> None:
    parsed(TASKS[name], body)


@pytest.mark.long
@pytest.mark.parametrize("name", TASKS)
def test_of_thousands_of_broken_arrays_each_is_parsed_as_its_items_are_or_not_at_all(name: str) -> None:
    outcomes = []
    for seed in range(20_000):
        random = Random(seed)
        body = broken(random, plain_labels(random, TASKS[name], random.randint(1, 5)))
        outcomes.append(parsed(TASKS[name], body) is not None)

    assert 1000 < sum(outcomes) < 16_000


@pytest.mark.parametrize(
    ("name", "token", "label"),
    [
        ("binary", "1", True),
        ("binary", "0.0", False),
        ("binary", "-0", False),
        ("strings", r'"\u0079es"', "yes"),
        ("odd strings", '"a:b"', "a:b"),
        ("odd strings", '""', ""),
        ("integers", "2", 2),
        ("integers", "2.0", 2),
        ("floats", "1", 1.0),
        ("floats", "1e20", 1e20),
        ("regression", "3", 3.0),
        ("regression", "-0", 0.0),
        ("regression", "-0.0", -0.0),
        ("regression", "18446744073709551617", 18446744073709551616.0),
        ("regression", "1e-400", 0.0),
    ],
)
def test_a_label_has_the_type_and_the_sign_that_it_has_alone(name: str, token: str, label: object) -> None:
    labels = parsed(TASKS[name], f'[{{"id":"a","{LabelParser(TASKS[name]).name}":{token}}}]'.encode())

    assert labels is not None
    assert repr(labels[0].label) == repr(label)


@pytest.mark.parametrize(
    ("name", "token"),
    [
        *(("binary", token) for token in ("2", '"true"', "null", "[true]", "NaN")),
        *(("strings", token) for token in ('"Yes"', "1", r'"yes\u0000"', r'"\ud800"')),
        *(("odd strings", token) for token in ("1", r'"a\u003ab"')),
        *(("integers", token) for token in ("true", '"2"', "4", "1.5", "9" * 5000)),
        *(("floats", token) for token in ("100000000000000000000", "true")),
        *(("regression", token) for token in ("true", '"1"', "NaN", "Infinity", "1e999", "9" * 400, "01", "null")),
    ],
)
def test_a_label_that_is_wrong_or_hard_to_read_is_left_to_the_other_parser(name: str, token: str) -> None:
    assert parsed(TASKS[name], f'[{{"id":1,"{LabelParser(TASKS[name]).name}":{token}}}]'.encode()) is None


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        '{"id":1,"true_class":true}',
        '[{"id":1}]',
        '[{"true_class":true}]',
        '[{"id":1,"true_class":true,"x":1}]',
        '[{"id":1,"true_value":true}]',
        '[{"id":1.0,"true_class":true}]',
        '[{"id":1,"true_class":true},{"id":1,"true_class":true}]',
        '[{"id":1,"true_class":true},{"id":1,"true_class":false}]',
        '[{"id":1,"true_class":false,"true_class":true}]',
        r'[{"id":"\u003a","id":"\u003a","true_class":true}]',
        r'[{"id":1,"true_class":"a","t\u0072ue_class":true}]',
        '[{"id":1,"true_class":true}] x',
        '\ufeff[{"id":1,"true_class":true}]',
    ],
)
def test_a_body_that_is_no_array_of_whole_items_with_different_ids_is_left_to_the_other_parser(body: str) -> None:
    assert parsed(TASKS["binary"], body.encode()) is None


def test_one_and_the_string_one_are_two_ids() -> None:
    labels = parsed(TASKS["binary"], b'[{"id":1,"true_class":true},{"true_class":1,"id":"1"}]')

    assert labels == (TrueLabel("1", True), TrueLabel('"1"', True))


def test_a_class_may_be_a_large_integer() -> None:
    labels = LabelArrayParser(Task("multiclass", (3, 2**40, -(2**40)))).parse(
        b'[{"id": 1, "true_class": 1099511627776}, {"id": 2, "true_class": -1099511627776}]'
    )

    assert labels is not None
    assert [label.label for label in labels] == [2**40, -(2**40)]


def test_the_garbage_collector_does_not_look_at_decoded_items() -> None:
    assert not gc.is_tracked(ArrayDecoder("true_class", bool)._decode_one(b'{"id": 1, "true_class": true}'))
