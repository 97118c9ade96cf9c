"""A text stays on one line, whatever it contains."""

import pytest

from serialize.display.text import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x1b[1m\x85\u2028\ud800", r"\x1b[1m\x85\u2028\ud800"),
        ('größe "m²" 名', 'größe "m²" 名'),
    ],
)
def test_control_characters_are_escaped_and_others_stay(text: str, shown: str) -> None:
    assert printable(text) == shown
