"""A picture of the report, with what stands in its place where there is nothing to show."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from matplotlib.figure import Figure

from service.report.style import notice, png

Draw = Callable[[], Figure]


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as PNG, its title, what it shows in a sentence, and where there is nothing to show why."""

    name: str
    title: str
    text: str
    content: bytes
    missing: str | None = None


def picture(name: str, title: str, text: str, missing: str | None, draw: Draw) -> Picture:
    """The picture, or where something is missing that sentence in its place."""
    sentence = missing
    content = png(draw) if sentence is None else png(lambda: notice(f"{title}: {sentence}"))
    return Picture(name, title, text, content, missing)


def unlabelled(count: int, labelled: int) -> str | None:
    """Why so many predictions, of which so many are labelled, cannot be judged; None where they can."""
    if not count:
        return "There are no predictions in this selection of the log."
    return None if labelled else "None of these predictions has a label yet."


def said(figure: Mapping[str, float | None]) -> str:
    """A figure with its interval in brackets."""
    if figure["value"] is None:
        return "not defined"
    bounds = f" ({figure['low']:.3f} to {figure['high']:.3f})" if None not in (figure["low"], figure["high"]) else ""
    return f"{figure['value']:.3f}{bounds}"
