"""A filled template is the texts of its items."""

from hypothesis import given
from hypothesis import strategies as st

from service.prediction.arrays.template import blocks, filled

ITEMS = st.integers(1, 4).flatmap(lambda width: st.lists(st.tuples(*[st.text()] * width), min_size=1))


@given(ITEMS, st.text(), st.text(), st.data())
def test_each_item_is_the_fixed_texts_and_its_own(
    items: list[tuple[str, ...]], after: str, between: str, data: st.DataObject
) -> None:
    width = len(items[0])
    before = data.draw(st.lists(st.text(), min_size=width, max_size=width))

    text = filled(before, list(zip(*items, strict=True)), after, between)

    each = ["".join(part for pair in zip(before, item, strict=True) for part in pair) + after for item in items]
    assert text == between.join(each)


@given(st.integers(0, 20_000), st.integers(1, 10_000))
def test_the_blocks_have_each_item_once_and_few_values(items: int, values: int) -> None:
    parts = list(blocks(items, values))

    assert [i for part in parts for i in range(items)[part]] == list(range(items))
    assert all(len(range(items)[part]) * values <= 2048 or len(range(items)[part]) == 1 for part in parts)
