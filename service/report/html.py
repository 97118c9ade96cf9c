"""The report as one HTML file that fetches nothing: pictures and style are within, and a browser is told to load
nothing else. Names and categories come from outside; the template escapes whatever it is given."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from service.report.report import Report

MARK = b'<meta name="generator" content="prediction-service report">'

_FOLDER = Path(__file__).parent / "templates"


def page(report: Report, about: Mapping[str, Any]) -> bytes:
    """The report in UTF-8; `about` says what it is of, line by line."""
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"base64": _base64, "figure": figure, "share": share}
    text = environment.get_template("report.html").render(
        report=report,
        about=about,
        metrics=report.performance["metrics"],
        columns=report.drift["columns"],
        generator=MARK.decode(),
    )
    return text.encode("utf-8", errors="replace")


def is_page(content: bytes) -> bool:
    """Whether this is the beginning of a file that `page` has made."""
    return MARK in content


def figure(number: float | None) -> str:
    """A number as the tables show it."""
    return "-" if number is None else f"{number:.4g}"


def share(number: float | None) -> str:
    """A share as the tables show it."""
    return "-" if number is None else f"{number:.1%}"


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
