"""How every chart looks: colours that people with colour blindness can tell apart (Okabe and Ito 2008), numbers as
people write them, and text from outside in a font that has its characters."""

import io
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from unicodedata import east_asian_width

from matplotlib import style
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, fontManager, get_font
from matplotlib.ticker import FuncFormatter, MaxNLocator

BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
GREY, DARK = "#999999", "#333333"
SERIES = ((BLUE, "o"), (ORANGE, "s"), (GREEN, "^"), (VERMILION, "D"), (PURPLE, "v"), (SKY, "P"))

_FONT = "DejaVu Sans"  # comes with matplotlib
_BOXES = "Last Resort"  # has a box for every character
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_STYLE = Path(__file__).with_name("chart.mplstyle")


class NotDrawable(ValueError):
    """The data cannot be drawn; the message is a sentence that says why."""


@contextmanager
def chart_style(text: str) -> Iterator[None]:
    """Charts made in the block have this style, whatever the user's own is, and fonts for the characters of `text`."""
    families = dict.fromkeys([_FONT, *filter(None, map(_family, sorted(set(text))))])
    with style.context(["default", _STYLE, {"font.family": list(families)}]):
        yield


def png(figure: Figure) -> bytes:
    """A figure as PNG."""
    content = io.BytesIO()
    FigureCanvasAgg(figure).print_png(content, metadata={"Software": None})
    return content.getvalue()


def plain(value: Any, most: int = 24) -> str:
    """A column's name, a label or a category on one line, the middle left out where it is wider than `most`
    letters. Characters that no installed font has are escaped, as in \\u4e2d."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = text if len(text) <= 2 * most else text[:most] + text[-most:]
    pieces = [each if _family(each) else each.encode("unicode_escape").decode() for each in text]
    if sum(map(_width, pieces)) > most:
        while sum(map(_width, pieces)) >= most:
            del pieces[len(pieces) // 2]
        pieces.insert((len(pieces) + 1) // 2, "…")
    return "".join(pieces)


def number(value: float, digits: int = 10) -> str:
    """A number with `digits` significant digits, or more if its whole part has more: 3,650 or 0.00008 or 12.5M."""
    size = abs(value)
    if size >= 1e9 or 0 < size < 1e-5:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{float(mantissa):g}·10{str(int(exponent)).translate(_SUPERSCRIPT)}"
    if size >= 1e6:
        return f"{number(value / 1e6, digits)}M"
    decimals = max(0, digits - 1 - math.floor(math.log10(size))) if size else 1
    text = f"{value + 0.0:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if decimals else text


def with_interval(metric: Mapping[str, Any], line: str = " ") -> str:
    """A metric of GET /performance with its interval, which follows after `line`."""
    known = [metric[name] for name in ("value", "low", "high") if metric[name] is not None]
    size = max(map(abs, known), default=0.0)
    texts = [number(round(each, 2 - math.floor(math.log10(size))) if size else 0.0) for each in known]
    if len(texts) < 3:
        return texts[0] if texts else "not defined"
    return f"{texts[0]}{line}({texts[1]} to {texts[2]})"


def number_axis(axis: Axis, most: int = 6, *, integer: bool = False, share: bool = False) -> None:
    """Writes about `most` plain numbers at an axis, as percentages if they are shares."""
    axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 2.5, 5, 10], integer=integer, min_n_ticks=1))
    axis.set_major_formatter(FuncFormatter(lambda x, _: f"{number(100 * x)}%" if share else number(x)))


def _width(text: str) -> int:
    return 2 if east_asian_width(text[0]) in "WF" else len(text)


@cache
def _family(character: str) -> str | None:
    """The first font family that has a character; None for a control character and for one that no font has."""
    has = (name for name in _families() if ord(character) in _characters(name))
    return next(has, None) if character.isprintable() else None


@cache
def _families() -> list[str]:
    """The installed font families, the one of the style first."""
    return sorted((name for name in fontManager.get_font_names() if _BOXES not in name), key=lambda name: name != _FONT)


@cache
def _characters(family: str) -> frozenset[int]:
    """The characters of the font file that matplotlib takes for a family."""
    return frozenset(get_font(fontManager.findfont(FontProperties(family=[family]))).get_charmap())
