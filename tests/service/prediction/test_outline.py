"""The outline of a body is that of its JSON value, also where strings and escapes cross the blocks of the scan."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.prediction.outline import _BLOCK_BYTES, outline

MIB = 1024 * 1024
tricky = st.text(alphabet='[]{}",:\\a€', max_size=6)
nested = st.recursive(
    tricky | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(tricky, inner, max_size=3),
    max_leaves=30,
)


def depth_of(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth_of, inner), default=0)


@given(st.lists(nested), st.booleans())
def test_it_has_the_items_and_the_depth_of_the_value(value: list[object], escapes: bool) -> None:
    body = json.dumps(value, ensure_ascii=escapes).encode()

    found = outline(body, 100)

    assert found == (depth_of(value), max(len(value), 1), max(body))


@given(st.lists(tricky, min_size=1), st.integers(0, 40))
def test_a_string_may_cross_the_blocks(value: list[str], overlap: int) -> None:
    first = "x" * (_BLOCK_BYTES - overlap)

    assert outline(json.dumps([first, *value, [["\\", '"']]]).encode(), 100)[:2] == (3, len(value) + 2)


@pytest.mark.parametrize("more", range(4))
def test_an_escape_may_cross_the_blocks(more: int) -> None:
    for escape in (rb"\"", rb"\\"):
        body = b"[" + b" " * more + b'"' + escape * _BLOCK_BYTES + b'", 1, 2]'
        assert outline(body, 16)[:2] == (1, 3)


@given(st.binary(max_size=300))
def test_any_bytes_have_an_outline(body: bytes) -> None:
    assert outline(body, 16).items >= 1


def test_the_scan_ends_soon_after_it_is_too_deep() -> None:
    assert outline(b"[" * 16 * MIB, 16).depth == _BLOCK_BYTES


@pytest.mark.parametrize("unit", [b"{},", b'"[",[],', b'"",', b'"\\"",', b"1,"])
def test_the_time_is_bounded_by_the_length(unit: bytes) -> None:
    body = b"[" + unit * (16 * MIB // len(unit)) + b"1]"
    began = time.process_time()

    assert outline(body, 16).items == (2 if unit.startswith(b'"[') else 1) * (16 * MIB // len(unit)) + 1

    assert time.process_time() - began < 5
