"""A column describes its valid values in JSON types only, and survives JSON."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serialize.signature import Column, Levels, Signature

LEVELS = Levels(("low", "high"), "str", ordered=True)
COLUMNS = (
    Column("age", "number", nullable=True, dtype="float64", minimum=0, maximum=120.5),
    Column("class", "integer", nullable=False, dtype="int64", categories=(1, 2, 3)),
    Column("risk", "category", nullable=False, dtype="category", categories=("low",), levels=LEVELS),
    Column("", "text", nullable=True, dtype="object", null="none", longest=7),
)


def test_a_signature_survives_json() -> None:
    signature = Signature("frame", COLUMNS)

    again = Signature.from_json(json.loads(json.dumps(signature.to_json())))

    assert again == signature
    assert again.names == ("age", "class", "risk", "")


@given(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False), st.text())
def test_bounds_and_categories_of_every_size_survive_json(low: int, high: float, label: str) -> None:
    bounded = Column("n", "number", nullable=False, dtype="float64", minimum=low, maximum=high)
    closed = Column("c", "category", nullable=False, dtype="str", categories=(label,))

    assert Column.from_json(json.loads(json.dumps(bounded.to_json()))) == bounded
    assert Column.from_json(json.loads(json.dumps(closed.to_json()))) == closed


def test_fields_that_are_none_are_left_out() -> None:
    written = Column("age", "number", nullable=False, dtype="float64").to_json()

    assert set(written) == {"name", "kind", "nullable", "dtype", "null"}


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ({"kind": "boolean"}, "true or false"),
        ({"kind": "text", "longest": 15}, "a string of at most 1000 characters"),
        ({"kind": "text", "longest": 150}, "a string of at most 1500 characters"),
        ({"kind": "category", "categories": ("a", "b")}, 'one of "a", "b"'),
        ({"kind": "category", "categories": (1, 2)}, "one of 1, 2"),
        ({"kind": "category", "categories": (True,)}, "one of true"),
        ({"kind": "integer", "dtype": "int64"}, "an integer"),
        ({"kind": "integer", "dtype": "int8"}, "an integer from -128 to 127"),
        ({"kind": "integer", "dtype": "UInt16"}, "an integer from 0 to 65535"),
        ({"kind": "integer", "dtype": "int64", "minimum": 1}, "an integer of at least 1"),
        ({"kind": "number", "minimum": 0, "maximum": 120}, "a number from 0 to 120"),
        ({"kind": "number", "maximum": 0.5}, "a number from -1e+15 to 0.5"),
        ({"kind": "number", "nullable": True}, "a number from -1e+15 to 1e+15 or null"),
    ],
)
def test_a_column_describes_its_valid_values(column: dict[str, Any], expected: str) -> None:
    assert Column(**{"name": "c", "nullable": False, "dtype": "float64", **column}).expected == expected


def test_at_most_thirty_categories_are_listed() -> None:
    column = Column("c", "category", nullable=False, dtype="int64", categories=tuple(range(50)))

    assert column.expected.endswith("28, 29 and 20 more")


@pytest.mark.parametrize(
    ("kind", "dtype", "limits"),
    [
        ("integer", "uint8", (0, 255)),
        ("integer", "Int32", (-(2**31), 2**31 - 1)),
        ("integer", "int64", (-(2**63), 2**63 - 1)),
        ("integer", "uint64", (0, 2**63 - 1)),
        ("integer", "object", (-(2**63), 2**63 - 1)),
        ("number", "float16", (-65504.0, 65504.0)),
        ("number", "Float32", (-3.4028234663852886e38, 3.4028234663852886e38)),
        ("number", "float64", (-1.7976931348623157e308, 1.7976931348623157e308)),
    ],
)
def test_a_column_has_the_limits_of_its_dtype(kind: Any, dtype: str, limits: tuple[float, float]) -> None:
    assert Column("c", kind, nullable=False, dtype=dtype, largest=1e20).limits == limits


def test_a_number_without_bounds_has_limits_against_overflow() -> None:
    column = Column("c", "number", nullable=False, dtype="float64")

    assert column.limits == (-1e15, 1e15)
    assert replace(column, minimum=-1e20).limits == (-1e20, 1e15)
    assert replace(column, maximum=5).limits == (-1e15, 5)


def test_declared_bounds_narrow_the_limits_of_the_dtype_and_never_widen_them() -> None:
    column = Column("c", "integer", nullable=False, dtype="int8", minimum=-5, maximum=1000)

    assert column.limits == (-5, 127)
