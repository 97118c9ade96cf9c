"""A shift changes the values of a column, and an invalid shift is refused with the reason."""

from typing import Any

import numpy as np
import pytest

from serialize import load
from serialize.formats.datetimes import Datetimes
from serialize.signature import Column, Signature
from service.cli.shift import Shift, ShiftError
from tests.support.passengers import ARTIFACTS

SIGNATURE = load(ARTIFACTS).manifest.signature


def shifted(text: str, values: list[Any]) -> list[Any]:
    return Shift.parse(text, SIGNATURE).change(values, np.random.default_rng(0))


def test_a_datetime_may_be_set_or_swapped() -> None:
    column = Column("when", "datetime", nullable=True, dtype="object", datetimes=Datetimes("D", element="date"))
    days = Signature("frame", (column,))

    def changed(text: str) -> list[Any]:
        return Shift.parse(text, days).change(["2024-05-30", "2024-05-31"], np.random.default_rng(0))

    assert changed("when=2024-06-01") == ["2024-06-01", "2024-06-01"]
    assert changed("when=swap") == ["2024-05-31", "2024-05-30"]
    with pytest.raises(ShiftError, match="when is not a number"):
        changed("when=+1")


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("Age=+10", [20.0, None], [30.0, None]),
        ("Age=-0.5", [20.0, None], [19.5, None]),
        ("Age=*2", [20.0], [40.0]),
        ("Age=30", [20.0, None], [30, 30]),
        ("Age=value:-3", [20.0], [-3]),
        ("Pclass=*1.5", [1, 3], [2, 4]),
        ("Sex=swap", ["male", "male", "female"], ["female", "female", "male"]),
        ("Embarked=swap", ["S", "S", "C", "C", "Q", None], ["C", "C", "S", "S", "Q", None]),
        ("Embarked=swap", ["S", None], ["S", None]),
        ("Embarked=Q", ["S", None], ["Q", "Q"]),
        ("Cabin=value:swap", ["C85"], ["swap"]),
        ("Age=null:0", [20.0, None], [20.0, None]),
        ("Age=null:1", [20.0, None], [None, None]),
    ],
)
def test_a_shift_changes_the_values_of_a_column(text: str, values: list[Any], expected: list[Any]) -> None:
    assert shifted(text, values) == expected


@pytest.mark.parametrize(("text", "nulls"), [("Age=null:0.5", 500), ("Age=null:*2", 400), ("Age=null:0.1", 200)])
def test_nulls_reach_the_given_share_or_multiple(text: str, nulls: int) -> None:
    values = [None] * 200 + [30.0] * 800

    assert shifted(text, values).count(None) == nulls


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Agee=+1", "names no column"),
        ("Age", "names no column"),
        ("Sex=+1", "Sex is not a number"),
        *((f"Age={no}", "expected COLUMN=") for no in ("old", "nan", "inf", "1e999")),
        ("Age=null:2", "a share from 0 to 1"),
        ("Age=null:half", "a share from 0 to 1"),
        ("Pclass=null:0.5", "may not be null"),
    ],
)
def test_an_invalid_shift_is_refused(text: str, message: str) -> None:
    with pytest.raises(ShiftError, match=message):
        Shift.parse(text, SIGNATURE)


@pytest.mark.parametrize("text", ["Age=+1e999", "Pclass=*1e999", "Pclass=*1e308"])
def test_a_shift_to_infinity_is_refused(text: str) -> None:
    with pytest.raises(ShiftError, match="is too large for a number"):
        shifted(text, [None, 30])
