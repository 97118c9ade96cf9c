"""Strict JSON: what is decoded and what is refused."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import MalformedBody
from service.prediction.strict_json import MAX_DEPTH, decode

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(values)
def test_every_json_value_is_decoded_unchanged(value: object) -> None:
    assert decode(json.dumps(value).encode()) == value


@given(st.binary())
def test_any_bytes_are_json_or_malformed(body: bytes) -> None:
    with contextlib.suppress(MalformedBody):
        decode(body)


def test_a_duplicate_key_is_named() -> None:
    with pytest.raises(MalformedBody, match='"Age" occurs twice'):
        decode(b'{"observation": {"Age": 1, "Sex": "male", "Age": 2}}')


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity"])
def test_a_number_token_that_is_not_json_is_named(token: str) -> None:
    with pytest.raises(MalformedBody, match=token):
        decode(f'{{"Age": {token}}}'.encode())


def depth_of(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth_of, inner), default=0)


nested = st.recursive(
    st.text(alphabet='[]{}"\\a', max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet='[{"\\', max_size=2), inner, max_size=3)
    ),
    max_leaves=60,
)


@given(nested, st.integers(0, MAX_DEPTH + 2))
def test_a_body_is_refused_exactly_if_it_is_nested_too_deep(value: object, more: int) -> None:
    for i in range(more):
        value = [value, 1] if i % 2 else {"a": value}

    body = json.dumps(value).encode()

    if depth_of(value) <= MAX_DEPTH:
        assert decode(body) == value
    else:
        with pytest.raises(MalformedBody, match="nested more than 16 deep"):
            decode(body)


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[[],{"]":', b'"', b'["\\"', b'"]" ['])
@pytest.mark.parametrize("closing", [b"", b"]", b"}", b'"'])
def test_any_number_of_unmatched_brackets_is_malformed(opening: bytes, closing: bytes) -> None:
    with pytest.raises(MalformedBody):
        decode(opening * 100_000 + closing * 99_999)


def test_a_duplicate_key_among_many_is_found() -> None:
    members = ",".join(f'"{i}":1' for i in range(100_000))

    with pytest.raises(MalformedBody, match='"99999" occurs twice'):
        decode(f'{{{members},"99999":1}}'.encode())


@pytest.mark.parametrize("length", range(4080, 4110))
def test_the_length_of_a_string_does_not_change_the_result(length: int) -> None:
    text = '"' + "[" * length + '\\"' + "{" * 50 + '"'

    assert decode(f"[{text}, {'[],' * 20} {text}]".encode()) == [json.loads(text), *[[]] * 20, json.loads(text)]
