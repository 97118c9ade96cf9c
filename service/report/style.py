"""How every picture looks: one style, colours that people who see colours differently can tell apart (Okabe and Ito
2008), and text from outside as it stands."""

import io
import json
import warnings
from collections.abc import Callable, Iterable
from typing import Any

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
GREY, DARK = "#999999", "#333333"
SERIES = ((BLUE, "o"), (ORANGE, "s"), (GREEN, "^"), (VERMILION, "D"), (PURPLE, "v"), (SKY, "P"))

_DOTS_AN_INCH = 120
_STYLE = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.axisbelow": True,
    "figure.constrained_layout.use": True,
    "axes.titlelocation": "left",
    "text.parse_math": False,
}


def png(draw: Callable[[], Figure]) -> bytes:
    """The picture that a function draws, whatever style the user has set."""
    with style.context(["default", _STYLE]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # it becomes an empty box
        figure = draw()
        content = io.BytesIO()
        FigureCanvasAgg(figure).print_png(content, metadata={"Software": None})
    return content.getvalue()


def canvas(width: float, height: float) -> Figure:
    """An empty figure, in inches."""
    return Figure(figsize=(width, height), dpi=_DOTS_AN_INCH)


def notice(sentence: str) -> Figure:
    """What stands in place of a picture."""
    figure = canvas(6.4, 1.2)
    figure.text(0.5, 0.5, sentence, ha="center", va="center", color=DARK, wrap=True)
    return figure


def plain(value: Any, most: int = 24) -> str:
    """A column's name, a label or a category as text of one line and of at most so many characters."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
    return text if len(text) <= most else text[: most - 1] + "…"


def count_axis(axes: Axes, name: str = "predictions") -> None:
    """Makes the y axis one of counts."""
    axes.set_ylabel(name)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, min_n_ticks=1))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda number, _: short(number)))
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)


def share_axes(axes: Iterable[Axes]) -> None:
    """Makes both axes go from 0 to 1."""
    for each in axes:
        each.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        each.grid(color="#dddddd", linewidth=0.6)


def short(number: float) -> str:
    """A count in few characters: 950, 12k, 3.4M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g}"
