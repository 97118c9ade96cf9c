"""One template filled n times, without a look at each item: a list has the parts of all texts, a slice of it those of
one column, and one call joins them."""

from collections.abc import Iterator, Sequence

_VALUES_AT_ONCE = 2048


def filled(before: Sequence[str], columns: Sequence[Sequence[str]], after: str, between: str) -> str:
    """The texts of n items as one text, with `between` between them; n is above 0. An item is the k texts in `before`,
    each followed by the item's own text in the column at the same place, and `after`."""
    width = 2 * len(columns)
    fixed = [*before[1:], after + between + before[0]]
    parts = [part for text in fixed for part in ("", text)] * len(columns[0])
    for place, column in enumerate(columns):
        parts[2 * place :: width] = column
    parts[-1] = after
    return before[0] + "".join(parts)


def blocks(items: int, values: int) -> Iterator[slice]:
    """The slices of n items in order, for work on few of them at a time: no other thread runs while the numbers of a
    block become text or its texts are joined. An item has so many values; a block has 2,048, or a single item."""
    size = max(1, _VALUES_AT_ONCE // values)
    return (slice(start, start + size) for start in range(0, items, size))
