"""The table of the kinds of pipelines and their programs."""

from statistics import median, quantiles
from typing import Any

from benchmarks.table import Result, row, where


def kinds(result: Result) -> str:
    """For each kind, pipeline / program: the time of a row and the speed of a batch. Also the steps that the program
    calls, the largest difference, and how many kinds need no pandas."""
    lines = [
        row("pipeline", "steps that its program calls", "one row, µs", "rows/s", "largest difference"),
        row("---", "---", "--:", "--:", "--:"),
    ]
    group = None
    for found in result["kinds"]:
        if found["group"] != group:
            group = found["group"]
            lines.append(row(f"**{group}**", "", "", "", ""))
        lines.append(row(found["name"], *_cells(found)))
    return "\n".join([*lines, "", f"{_said(result)} {where(result)}"])


def _cells(found: Any) -> tuple[str, str, str, str]:
    one, many = (_compared(found[figure]) for figure in ("microseconds", "per_second"))
    if found["reason"] is not None:
        return f"no program: {found['reason']}", one, many, "-"
    difference = found["difference"]
    return ", ".join(found["native"]), one, many, "0" if difference == 0 else f"{difference:.0e}"


def _compared(figures: Any) -> str:
    return " / ".join(f"{figures[form]:,.0f}" if form in figures else "-" for form in ("pipeline", "program"))


def _said(result: Result) -> str:
    settings, made = result["settings"], [one for one in result["kinds"] if one["reason"] is None]
    said = (
        f"Pipeline / program, on one thread; rows/s of {settings['rows']:,} rows that are not in the training data. "
        f"Medians of {settings['rounds']} interleaved rounds. "
        f"Of {len(result['kinds'])} kinds {len(made)} have a program"
    )
    if len(made) < 2:
        return f"{said}."
    times = [one["microseconds"]["program"] for one in made]
    faster = [one["microseconds"]["pipeline"] / one["microseconds"]["program"] for one in made]
    return (
        f"{said}, and {sum(not one['pandas'] for one in made)} of these need no pandas. The programs take "
        f"{median(times):,.0f} µs for one row at the median and {quantiles(times, n=10)[-1]:,.0f} µs at the 90th "
        f"percentile, and are {min(faster):.1f} to {max(faster):,.0f} times as fast as the pipelines."
    )
