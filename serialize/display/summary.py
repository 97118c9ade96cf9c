"""A short description of an artifact, as text and as HTML for a notebook."""

import textwrap
from html import escape
from pathlib import Path

from serialize.manifest import Manifest

_WIDTH = 110
_COLUMNS = 8
_WIDE = 360
_ANSWER = 300


def summary(manifest: Manifest, version: str, *, path: Path | None) -> dict[str, str]:
    """What an artifact is, by heading, with one line of text each."""
    task, columns = manifest.task, list(manifest.signature)
    more = f" and {len(columns) - _COLUMNS} more" if len(columns) > _COLUMNS else ""
    named = ", ".join(f"{column.name} ({column.kind})" for column in columns[:_COLUMNS])
    found = {
        "model": f"{manifest.name}, version {version}",
        "task": task.kind + (f" ({', '.join(map(str, task.classes))})" if task.classes else ""),
        "columns": f"{len(columns)}: {_short(named, _WIDTH - len(more))}{more}",
        "threshold": f"{task.threshold}, positive class {task.positive_class}" if task.kind == "binary" else "",
        "metrics": _metrics(manifest),
        "compiled": how_it_answers(manifest),
        "path": str(path or ""),
    }
    widths = {"metrics": _WIDE, "columns": _WIDE, "path": len(found["path"])}
    return {heading: _short(text, widths.get(heading, _WIDTH)) for heading, text in found.items() if text}


def how_it_answers(manifest: Manifest) -> str:
    """Whether there is a compiled form or the reason why not, the steps that it calls, and the time of one row."""
    scoring = manifest.scoring
    if manifest.not_compiled is not None:
        return _short(f"no. {manifest.not_compiled}", _ANSWER)
    row = scoring.get("row_us", {})  # a model that was fitted again has the times of its parent, if there are any
    times = f", {row['compiled']:g} us for one row (pipeline {row['pipeline']:g})" if "compiled" in row else ""
    arrays = ", large arrays by the pipeline" if scoring.get("arrays") == "pipeline" else ""
    calls = f", calls {', '.join(scoring['native'])}" if scoring.get("native") else ""
    return _short(f"yes{times}{arrays}{calls}", _ANSWER)


def as_text(lines: dict[str, str]) -> str:
    """The description in at most seven lines."""
    return "\n".join(f"{heading + ':':<10} {text}" for heading, text in lines.items())


def as_html(lines: dict[str, str]) -> str:
    """The description as an HTML table."""
    rows = "".join(f"<tr><th>{heading}</th><td>{escape(text)}</td></tr>" for heading, text in lines.items())
    return f"<table>{rows}</table>"


def _metrics(manifest: Manifest) -> str:
    found = [
        f"{name} {one['mean']:.4g}" + (f" ± {one['std']:.2g}" if "std" in one else "")
        for name, one in manifest.metrics["metrics"].items()
    ]
    return ": ".join(part for part in (manifest.metrics["method"], ", ".join(found)) if part)


def _short(text: str, width: int) -> str:
    return textwrap.shorten(text, width, placeholder=" ...")
