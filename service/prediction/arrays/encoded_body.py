"""A request body as it arrived."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class EncodedBody:
    """A short object, or an array with at most the allowed number of items, as JSON text in UTF-8. `decode` gives its
    value, and raises ServiceError if the text is not strict JSON. `release` says that the text is not needed any
    more."""

    content: bytes
    is_array: bool
    decode: Callable[[], Any]
    release: Callable[[], None] = lambda: None
