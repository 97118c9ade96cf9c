"""Strict JSON."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import MalformedBody
from service.payload import decode

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(values)
def test_every_json_value_is_read_back(value: object) -> None:
    assert decode(json.dumps(value).encode()) == value


@given(st.binary())
def test_any_bytes_are_json_or_malformed(body: bytes) -> None:
    with contextlib.suppress(MalformedBody):
        decode(body)


def test_the_key_that_occurs_twice_is_named() -> None:
    with pytest.raises(MalformedBody, match='"Age" occurs twice'):
        decode(b'{"observation": {"Age": 1, "Sex": "male", "Age": 2}}')


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_is_not_json_is_named(token: str) -> None:
    with pytest.raises(MalformedBody, match=token):
        decode(f'{{"Age": {token}}}'.encode())
