"""Charts write numbers as people do, and draw or escape every character of a name."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import rcParams
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager

from service.report import style
from service.report.style import chart_style, number, number_axis, plain, png, with_interval

NAME = "名前"


@pytest.fixture(autouse=True)
def fonts() -> Iterator[None]:
    """The installed fonts, looked at afresh, and none that a test adds afterwards."""
    before = fontManager.ttflist[:]
    caches = (style._family, style._families, style._characters)
    for cached in caches:
        cached.cache_clear()
    yield
    fontManager.ttflist[:] = before
    for cached in caches:
        cached.cache_clear()


def font(path: Path, characters: str) -> None:
    """Installs a font that has a triangle for each of the characters."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    pen.lineTo((500, 700))
    pen.lineTo((900, 0))
    pen.closePath()
    names = [".notdef", *(f"uni{ord(each):04X}" for each in characters)]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap(dict(zip(map(ord, characters), names[1:], strict=True)))
    builder.setupGlyf(dict.fromkeys(names, pen.glyph()))
    builder.setupHorizontalMetrics(dict.fromkeys(names, (1000, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Triangles", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    fontManager.addfont(path)


def drawn(text: str) -> bytes:
    figure = Figure((2, 1))
    figure.text(0.1, 0.5, text)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a glyph that is missing is a warning
        return png(figure)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (3650.0, "3,650"),
        (0.00008, "0.00008"),
        (0.30000000000000004, "0.3"),
        (-1000.25, "-1,000.25"),
        (12_500_000.0, "12.5M"),
        (3.2e12, "3.2·10¹²"),
        (-8.18e-7, "-8.18·10⁻⁷"),
        (1e99, "1·10⁹⁹"),
    ],
)
def test_a_number_is_written_as_people_write_it(value: float, text: str) -> None:
    assert number(value) == text


def test_a_number_with_few_digits_keeps_its_whole_part() -> None:
    assert [number(value, 3) for value in (12_345.678, 0.123456, 2.5)] == ["12,346", "0.123", "2.5"]


def test_a_metric_is_as_exact_as_its_interval() -> None:
    assert with_interval({"value": 1.8e-14, "low": -5.0123, "high": 5.0123}) == "0 (-5.01 to 5.01)"
    assert with_interval({"value": 0.83333, "low": None, "high": None}) == "0.833"
    assert with_interval({"value": None, "low": None, "high": None}) == "not defined"


def test_scripts_that_the_default_font_has_are_drawn() -> None:
    with chart_style("Имя اسم ΑΒΓ"):
        assert plain("Имя اسم ΑΒΓ") == "Имя اسم ΑΒΓ"
        drawn("Имя اسم ΑΒΓ")


def test_characters_that_no_font_has_are_escaped() -> None:
    missing = "\N{CUNEIFORM SIGN A}"
    with chart_style(missing):
        assert plain(missing) == "\\U00012000"
        drawn(plain(missing))


def test_characters_are_drawn_with_an_installed_font_that_has_them(tmp_path: Path) -> None:
    font(tmp_path / "triangles.ttf", NAME)

    with chart_style(NAME):
        assert plain(NAME) == NAME
        assert rcParams["font.family"][0] == "DejaVu Sans"
        assert len(rcParams["font.family"]) > 1
        assert drawn(NAME) != drawn("")


def test_control_characters_are_escaped() -> None:
    assert plain("a\nb\x1b\u202e") == "a\\nb\\x1b\\u202e"


def test_a_long_name_loses_its_middle() -> None:
    assert plain("class number one of sixty", 12) == "class …sixty"
    assert plain("probas/" + "x" * 100_000 + "/last", 14).endswith("/last")
    assert plain("short") == "short"
    assert plain(True) == "true"


def test_an_axis_has_few_plain_numbers() -> None:
    axes = Figure().subplots()
    for top, most, numbers in ((10.0, 4, [0.0, 2.5, 5.0, 7.5, 10.0]), (40.0, 4, [0.0, 10.0, 20.0, 30.0, 40.0])):
        axes.set_ylim(0, top)
        number_axis(axes.yaxis, most)

        assert axes.get_yticks().tolist() == numbers


def test_the_style_of_the_user_stays_outside() -> None:
    before = dict(rcParams)

    with chart_style(""):
        assert rcParams["figure.dpi"] == 120

    assert dict(rcParams) == before
