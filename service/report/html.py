"""The report as one HTML file that loads nothing: charts and style are inside, and the page forbids the browser to
load anything else. The template escapes names and categories, which come from outside."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from service.report.report import Report
from service.report.style import number

_MARK = b'<meta name="generator" content="prediction-service report">'
_TEMPLATES = Path(__file__).parent / "templates"


def html(report: Report, about: Mapping[str, Any]) -> bytes:
    """The report in UTF-8. `about` holds the names and values above it."""
    environment = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined)
    environment.trim_blocks = environment.lstrip_blocks = True
    environment.filters["base64"] = lambda content: base64.b64encode(content).decode()
    environment.filters |= {"value": value, "share": lambda figure: "-" if figure is None else f"{figure:.1%}"}
    text = environment.get_template("report.html").render(
        report=report,
        about=about,
        metrics=report.performance["metrics"],
        columns=report.drift["columns"],
        generator=_MARK.decode(),
    )
    return text.encode("utf-8", errors="replace")


def is_report(content: bytes) -> bool:
    """Whether this is the beginning of a file that `html` made."""
    return _MARK in content


def value(figure: float | None) -> str:
    """A figure as in the tables."""
    return "-" if figure is None else number(figure, 4)
