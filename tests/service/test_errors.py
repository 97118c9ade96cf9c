"""What a message shows of a value, and that showing it does not keep it in memory."""

import gc
import weakref

from service.errors import Fault, shown


class Values(list[int]):
    """A list that a weak reference can refer to."""


def test_a_long_value_is_cut() -> None:
    assert shown("x" * 300) == '"' + "x" * 199 + "..."


def test_a_value_that_was_shown_is_free_without_a_garbage_collection() -> None:
    value = Values(range(1000))
    reference = weakref.ref(value)
    gc.disable()
    try:
        shown(value)
        Fault("/a", "a", value, "b").to_json()
        del value
        assert reference() is None
    finally:
        gc.enable()
