"""The outline of a JSON body: how deep it is nested and how many items it has, found before any object is built.

numpy scans blocks of it and releases the GIL meanwhile, so a thread can do this beside the event loop."""

from typing import NamedTuple

import numpy as np

_BLOCK_BYTES = 64 * 1024
_QUOTE, _COMMA = b'",'
_UNMARKED = bytes(set(range(256)) - set(b'[]{},"'))
_STEPS = np.zeros(256, np.int8)
_STEPS[list(b"[{")] = 1
_STEPS[list(b"]}")] = -1


class Outline(NamedTuple):
    """The greatest depth of brackets; the items of the outermost array, 1 for an empty one; and the greatest byte."""

    depth: int
    items: int
    greatest: int


def outline(body: bytes, most_depth: int) -> Outline:
    """The outline of a body. Bodies that are not JSON have one too; unmatched brackets count as depth. The scan ends
    after the block that is nested more than `most_depth` deep."""
    depth = deepest = greatest = 0
    items = 1
    in_string = False
    rest = b""
    for start in range(0, len(body), _BLOCK_BYTES):
        block = rest + body[start : start + _BLOCK_BYTES]
        greatest = max(greatest, int(np.frombuffer(block, np.uint8).max()))
        block, rest = _without_escapes(block)
        marks = np.frombuffer(block.translate(None, _UNMARKED), np.uint8)
        if not len(marks):
            continue
        quotes = marks == _QUOTE
        inside = np.logical_xor.accumulate(quotes) ^ in_string
        in_string = bool(inside[-1])
        outside = marks[~(inside | quotes)]
        if len(outside):
            depths = np.cumsum(_STEPS[outside], dtype=np.int32) + depth
            depth, deepest = int(depths[-1]), max(deepest, int(depths.max()))
            items += int(np.count_nonzero((depths == 1) & (outside == _COMMA)))
        if deepest > most_depth:
            break
    return Outline(deepest, items, greatest)


def _without_escapes(block: bytes) -> tuple[bytes, bytes]:
    """A block without its escaped backslashes and quotes, and the backslash at its end whose escape is in the next."""
    if b"\\" not in block:
        return block, b""
    is_cut = (len(block) - len(block.rstrip(b"\\"))) % 2 == 1
    return block[: len(block) - is_cut].replace(rb"\\", b"").replace(rb"\"", b""), b"\\" * is_cut
