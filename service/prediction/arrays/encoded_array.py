"""An array of items as it arrived."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class EncodedArray:
    """An array as JSON text in UTF-8, with at most the allowed number of items. `decode` gives its items as values, and
    raises ServiceError if the text is not strict JSON. `release` says that the text is not needed any more."""

    content: bytes
    decode: Callable[[], Any]
    release: Callable[[], None]
