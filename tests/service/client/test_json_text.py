"""Requests become valid JSON, or name the value that cannot."""

import json
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from service.client.errors import NotJson
from service.client.json_text import encoded


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), None),
        (None, None),
        (np.float32("nan"), None),
        (pd.NaT, None),
        (np.int64(3), 3),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (date(2024, 5, 31), "2024-05-31"),
        (datetime(2024, 5, 31, 12, 30), "2024-05-31T12:30:00"),
        (pd.Timestamp("2024-05-31T12:30:00+02:00"), "2024-05-31T12:30:00+02:00"),
        (np.datetime64("2024-05-31T12:30", "ns"), "2024-05-31T12:30:00"),
        (np.datetime64("NaT", "ns"), None),
        ({2: float("nan"), True: 1, None: 3}, {"2": None, "true": 1, "null": 3}),
        ((1, float("nan")), [1, None]),
    ],
)
def test_what_stands_in_a_row_becomes_json(value: Any, expected: Any) -> None:
    assert json.loads(encoded({"observation": {"x": value}})) == {"observation": {"x": expected}}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (float("inf"), "inf"),
        (np.float32("-inf"), "-inf"),
        (Decimal(1), "of the type Decimal"),
        (np.timedelta64(5, "ns"), "of the type timedelta64"),
        ({1, 2}, "of the type set"),
        (np.arange(2), "of the type ndarray"),
        pytest.param(10**5000, "of the type int", id="long"),
        ({(1, 2): 3}, "an object with a key of the type tuple"),
        (pd.NA, "of the type NAType"),
    ],
)
def test_a_value_that_json_does_not_have_is_named_with_its_place(value: Any, shown: str) -> None:
    items = [{"id": 0, "observation": {}}, {"id": 1, "observation": {"a/b": value}}]

    with pytest.raises(NotJson) as raised:
        encoded(items, first=1000)

    assert (raised.value.pointer, raised.value.value) == ("/1001/observation/a~1b", shown)
    assert str(raised.value) == f"/1001/observation/a~1b is {shown}, and JSON has no such value."


def test_a_value_that_contains_itself_is_refused() -> None:
    items: list[Any] = []
    items.append(items)
    members: dict[str, Any] = {}
    members["x"] = members

    with pytest.raises(NotJson, match="of the type list"):
        encoded({"observation": items})
    with pytest.raises(NotJson, match="of the type dict"):
        encoded({"observation": members})


def test_text_is_sent_in_utf_8_and_a_lone_surrogate_as_an_escape() -> None:
    assert encoded({"x": "Zoë"}) == '{"x":"Zoë"}'.encode()
    assert encoded({"x": "\ud800"}) == b'{"x":"\\ud800"}'
