"""Decodes the bytes of JSON straight into items whose type says what each member may be.

It decodes only what is surely right. For any other, `JsonBody` and the parsers of single items say what is wrong."""

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NamedTuple

from msgspec import Meta, defstruct
from msgspec.json import Decoder, Encoder

from service.prediction.observation import MAX_ID, MAX_ID_LENGTH, ObservationId

INT64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]

_ID = Annotated[int, Meta(ge=-MAX_ID - 1, le=MAX_ID)] | Annotated[str, Meta(min_length=1, max_length=MAX_ID_LENGTH)]
# NUL as an escape, which no database can store, and a colon as one, because `decode` counts the colons of a body.
_REFUSED_ESCAPES = re.compile(rb"\\u00(?:00|3[Aa])")
_ITEMS_AT_ONCE = 1024  # no other thread runs while values become text

_encoder = Encoder()


class Items(NamedTuple):
    """n items with n different ids. `keys` are the ids as canonical JSON, and `texts` the members as `json_lines`
    writes them, without what was left out."""

    ids: Sequence[ObservationId]
    keys: Sequence[str]
    members: Sequence[Any]
    texts: Sequence[str]


class Item(NamedTuple):
    """One item, its id as canonical JSON, and its member as JSON."""

    id: ObservationId
    key: str
    member: Any
    text: str


class ArrayDecoder:
    """Decodes arrays of objects, or one object, that have an `id` and one other member, called `name`, of the type
    `member`. Raises TypeError, ValueError or NotImplementedError for a type that msgspec does not support."""

    def __init__(self, name: str, member: Any) -> None:
        # Items hold no containers and so are in no cycle: the garbage collector need not look at them.
        item: Any = defstruct(
            "Item", [("id", _ID), ("member", member)], rename={"member": name}, forbid_unknown_fields=True, gc=False
        )
        self._decode = Decoder(list[item]).decode
        self._decode_one = Decoder(item).decode

    def decode(self, body: bytes) -> Items | None:
        """The items of a body. None if it is not such an array, is empty, or has an id twice or a key twice."""
        items = _decoded(self._decode, body)
        if items is None:
            return None
        ids = [item.id for item in items]
        if not ids or len(set(ids)) < len(ids):
            return None
        members = [item.member for item in items]
        keys, colons_of_keys = _lines(ids)
        texts, colons_of_texts = _lines(members)
        # msgspec takes the last of two values for one key. But each key has a colon: if the items have as many colons
        # as the body, it had no second value. The two keys of an item itself are in neither text.
        if body.count(b":") != 2 * len(ids) + colons_of_keys + colons_of_texts:
            return None
        return Items(ids, keys, members, texts)

    def decode_one(self, body: bytes) -> Item | None:
        """The item of a body that is one such object. None if it is not, or has a key twice."""
        item = _decoded(self._decode_one, body)
        if item is None:
            return None
        key, text = _encoder.encode(item.id), _encoder.encode(item.member)
        if body.count(b":") != 2 + key.count(b":") + text.count(b":"):
            return None
        return Item(item.id, key.decode(), item.member, text.decode())


def _decoded(decode: Callable[[bytes], Any], body: bytes) -> Any:
    if b"\\" in body and _REFUSED_ESCAPES.search(body):
        return None
    try:
        return decode(body)
    except ValueError:  # the errors of msgspec, and UnicodeDecodeError
        return None


def json_lines(values: Sequence[Any]) -> list[str]:
    """Each of the values as canonical JSON, but a float from 1e16 on has no plus sign in its exponent."""
    return _lines(values)[0]


def _lines(values: Sequence[Any]) -> tuple[list[str], int]:
    """The values as `json_lines` gives them, and the number of colons in them."""
    lines: list[str] = []
    colons = 0
    for start in range(0, len(values), _ITEMS_AT_ONCE):
        encoded = _encoder.encode_lines(values[start : start + _ITEMS_AT_ONCE])
        colons += encoded.count(b":")
        lines += encoded[:-1].decode().split("\n")
    return lines, colons
