"""A row of the original app becomes the same prediction in the log, or is refused with a reason."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from service.prediction.original_row import OriginalRow, RefusedRow
from tests.support.original_table import BAD_ROWS, COLUMNS, body
from tests.support.passengers import PASSENGER

CONFLICTS = {"another observation", "another proba", "another true_class"}


def row(**values: Any) -> OriginalRow:
    usual = {"id": 1, "observation_id": 7, "observation": '{"Age": 22.0}', "proba": 0.25, "true_class": None}
    return OriginalRow.of({**usual, **values})


def test_the_observation_in_the_body_of_a_request_is_taken_out() -> None:
    found = row(observation=body(7))

    assert json.loads(found.observation.text) == PASSENGER
    assert found.observation.key == "7"


@pytest.mark.parametrize("text", ['{"id":1,"observation":2.0}', '{"observation":{"a":1}}', '{"id":1,"b":{}}'])
def test_another_object_is_the_observation_itself(text: str) -> None:
    assert row(observation=text).observation.text == text


def test_a_further_key_in_the_body_is_left_out() -> None:
    assert row(observation='{"id": 1, "observation": {"a": 1}, "note": "x"}').observation.text == '{"a":1}'


def test_a_dict_as_python_writes_it_is_read() -> None:
    assert row(observation="{'a': None, 'b': True, 'c': 'x'}").observation.text == '{"a":null,"b":true,"c":"x"}'


@pytest.mark.parametrize("text", ["{'a': {1, 2}}", "{'a': nan}", "{'a': b'1'}", "{'a': f()}", "{'a': 1j}"])
def test_a_dict_of_python_that_json_does_not_have_is_refused(text: str) -> None:
    with pytest.raises(RefusedRow, match="not JSON"):
        row(observation=text)


def test_a_numeric_of_postgresql_is_a_number() -> None:
    found = row(observation_id=Decimal("7"), proba=Decimal("0.25"), true_class=Decimal("1"))

    assert (found.observation.key, found.proba, found.true_class) == ("7", 0.25, True)
    with pytest.raises(RefusedRow, match="proba"):
        row(proba=Decimal("NaN"))


def test_the_text_becomes_canonical() -> None:
    assert row(observation='{"a": 22.0,\n "b": "\\u00e9"}').observation.text == '{"a":22.0,"b":"é"}'
    assert row(observation=b'{"a": 1}').observation.text == '{"a":1}'


def test_nan_is_a_missing_value() -> None:
    assert row(observation='{"a": NaN, "b": 1}').observation.text == '{"a":null,"b":1}'


@pytest.mark.parametrize(("given", "key"), [(7, "7"), (-1, "-1"), (7.0, "7"), ("7", '"7"'), ("a", '"a"')])
def test_an_id_keeps_its_json_type(given: Any, key: str) -> None:
    assert row(observation_id=given).observation.key == key


@pytest.mark.parametrize(("given", "truth"), [(None, None), (0, False), (1, True), (True, True), (1.0, True)])
def test_a_label_says_whether_the_positive_class_was_true(given: Any, truth: bool | None) -> None:
    assert row(true_class=given).true_class is truth


def test_a_time_without_a_zone_is_utc() -> None:
    noon = datetime(2020, 1, 2, 12, tzinfo=UTC)

    assert row().created_at is None
    assert row(created_at="2020-01-02 12:00:00").created_at == noon
    assert row(created_at=datetime(2020, 1, 2, 12)).created_at == noon
    assert row(created_at="2020-01-02T13:00:00+01:00").created_at == noon


@pytest.mark.parametrize(("reason", "values"), [item for item in BAD_ROWS.items() if item[0] not in CONFLICTS])
def test_a_bad_row_is_refused_with_the_reason(reason: str, values: tuple[Any, ...]) -> None:
    with pytest.raises(RefusedRow, match=reason):
        OriginalRow.of(dict(zip(COLUMNS, values, strict=True)))


@pytest.mark.parametrize(
    "changes",
    [
        {"observation": text}
        for text in (
            "", b"\xff", 7, "\udcff", '{"a": Infinity}', '{"a": -1e999}', '{"a": "\\u0000"}', '{"a": "\\ud800"}',
            '{"\\ud800": 1}', '{"a":' * 500 + "1" + "}" * 500, "[" * 100_000, '{"a": ' + "1" * 5000 + "}",
        )
    ]
    + [{"proba": proba} for proba in ("0.5", True, float("nan"), float("inf"), -0.1)]
    + [{"true_class": label} for label in ("1", 0.5, float("nan"), -1, b"1")]
    + [{"observation_id": id_} for id_ in (True, 1.5, "", "a" * 256, "\0", "\udcff", 2**63, b"7", float("nan"))]
    + [{"created_at": time} for time in ("yesterday", 7, b"2020", "0001-01-01T00:00:00+14:00", "", "infinity",
                                      "0044-01-01 00:00:00+00 BC")],
)  # fmt: skip
def test_no_value_is_taken_that_the_log_cannot_hold(changes: dict[str, Any]) -> None:
    with pytest.raises(RefusedRow):
        row(**changes)


def test_a_backslash_before_u0000_is_no_nul() -> None:
    assert row(observation='{"a": "\\\\u0000", "b": "Infinity"}').observation.text == '{"a":"\\\\u0000","b":"Infinity"}'


def test_the_same_observation_may_be_stored_in_another_order_and_with_nulls() -> None:
    found = row(observation='{"a": 1, "b": null, "c": 2}')

    assert found.has_same_observation('{"c":2.0,"a":1,"d":null}')
    assert not found.has_same_observation('{"c":2.0,"a":2}')
    assert not found.has_same_observation("[1]")
