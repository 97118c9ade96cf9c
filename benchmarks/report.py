"""Writes the tables of the documents from the newest result files: `python -m benchmarks.report README.md
docs/performance.md docs/score.md docs/models.md`.

A table stands between `<!-- benchmark -->` and `<!-- /benchmark -->`. A name in the first marker, as in
`<!-- benchmark growth -->`, selects another subject than the comparison."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import click

from benchmarks.arrays.table import table as arrays
from benchmarks.bulk.table import beside
from benchmarks.bulk.table import table as bulk
from benchmarks.contenders import TRACEPARENT
from benchmarks.models.table import kinds
from benchmarks.result import RESULTS, newest
from benchmarks.table import Result, row, where

LABELS = {
    "service-sqlite": "**this service, SQLite**",
    "service-postgresql": "this service, PostgreSQL",
    "service-beside": "this service, the other checkout",
    "naive": "Flask-RESTful, one pandas row and one insert per request (gunicorn sync)",
    "fastapi": "FastAPI, one pandas row per request, stores nothing (uvicorn)",
    "constant, gevent": "Flask-RESTful, a constant answer under gunicorn's gevent worker",
    "mlserver": "MLServer, batching, stores nothing",
    "mlflow": "MLflow, stores nothing",
    "bentoml": "BentoML, batching, stores nothing",
    "litserve": "LitServe, batching, stores nothing",
    "vetiver": "vetiver, stores nothing",
}

_OURS = "service-sqlite"
_NOT_SHOWN = ("constant, gthread",)
_MARKED = re.compile(r"(<!-- benchmark(?: ([a-z-]+))? -->\n).*?(<!-- /benchmark -->)", re.DOTALL)


@click.command()
@click.argument("documents", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(documents: tuple[Path, ...]) -> None:
    """Write the tables into the documents."""
    for document in documents:
        document.write_text(written(document.read_text(), RESULTS))
        click.echo(f"{document} is up to date.")


def written(text: str, results: Path) -> str:
    """The text with the newest results between its markers. A subject without a result file keeps its text."""

    def table(marked: re.Match[str]) -> str:
        name = marked[2] or "comparison"
        found = newest(name, results)
        if found is None:
            return marked[0]
        return f"{marked[1]}{TABLES.get(name, comparison)(found)}\n{marked[3]}"

    return _MARKED.sub(table, text)


def comparison(result: Result) -> str:
    """Requests per second and, in brackets, the ratio of this service to the contender under the same headers; memory
    and start-up time; the latencies of an open loop; what a traceparent in each request costs."""
    connections = [str(number) for number in result["settings"]["connections"]]
    rows = {name: found for name, found in result["contenders"].items() if name not in _NOT_SHOWN}
    lines = [
        row("requests/s by connections", *connections, "MB per worker", "s to first answer"),
        row("---", *["--:" for _ in connections], "--:", "--:"),
    ]
    for name, found in rows.items():
        figures = [_figure(name, rows, number) for number in connections]
        lines.append(row(_label(name), *figures, _plain(found["worker_mb"], 0), _plain(found["start_seconds"], 1)))
    said = [_latencies(name, found) for name, found in rows.items() if "open_loop" in found]
    costs = _traceparents(rows, connections)
    return "\n".join([*lines, "", " ".join([*said, *costs, _circumstances(result)])])


def growth(result: Result) -> str:
    """Requests per second by the number of rows in the log."""
    labels = {name: label for name, label in _GROWTH_LOADS.items() if name in result["sizes"][0]}
    lines = [row("rows in the log", *labels.values(), "bytes per row"), row(*["--:" for _ in (0, *labels, 0)])]
    for found in result["sizes"]:
        figures = (f"{found[name]['per_second']:,.0f}" for name in labels)
        lines.append(row(f"{found['rows']:,}", *figures, _plain(found["bytes_a_row"], 0)))
    return "\n".join([*lines, "", f"Requests/s at {result['settings']['connections']} connections. {where(result)}"])


def score(result: Result) -> str:
    """Seconds that GET /performance takes on a long log, by database."""
    names = list(next(iter(result["seconds"].values())))
    lines = [row("seconds", *names), row("---", *["--:" for _ in names])]
    for database, seconds in result["seconds"].items():
        lines.append(row(database, *(f"{seconds[name]:.2f}" for name in names)))
    return "\n".join([*lines, "", f"{result['settings']['rows']:,} labelled rows. {where(result)}"])


def compiled(result: Result) -> str:
    """Microseconds of the fastest call by model and batch size, compiled / pipeline, and the largest difference of the
    outputs."""
    sizes = [str(size) for size in result["settings"]["sizes"]]
    header = ("model", "largest difference", *(f"n = {int(size):,}" for size in sizes))
    lines = [row(*header), row("---", *["--:" for _ in header[1:]])]
    for name, found in result["models"].items():
        times = [found["microseconds"][size] for size in sizes]
        cells = [f"{one['compiled']:,.0f} / {one['pipeline']:,.0f}" for one in times]
        lines.append(row(name, f"{found['difference']:.0e}", *cells))
    return "\n".join(
        [
            *lines,
            "",
            f"Microseconds of the fastest call with n rows, compiled / pipeline, on one thread. {where(result)}",
        ]
    )


def models(result: Result) -> str:
    """For each tried model, whether it is served and compiled, and the microseconds of a row."""
    lines = [row("model", "served", "compiled", "alone", "in a batch"), row("---", "---", "---", "--:", "--:")]
    group = None
    for found in result["models"]:
        if found["group"] != group:
            group = found["group"]
            lines.append(row(f"**{group}**", "", "", "", ""))
        if found["refused"] is not None:
            lines.append(row(found["name"], f"no: {found['refused']}", "", "", ""))
            continue
        times = (f"{found[name]:,.0f}" if found[name] >= 10 else f"{found[name]:.1f}" for name in ("alone", "together"))
        lines.append(row(found["name"], "yes", "no" if found["not_compiled"] else "yes", *times))
    said = "Microseconds per row, on one thread: a row alone, and a row in a batch of all training rows (150 to 240)."
    return "\n".join([*lines, "", f"{said} {where(result)}"])


def swap_memory(result: Result) -> str:
    """The private memory of a worker at the start and after some of the swaps."""
    memory = result["private_mb"]
    shown = sorted({number for number in (1, 2, 10, 20, 30, 40, len(memory)) if number <= len(memory)})
    lines = [row("swaps", "0", *map(str, shown)), row("---", *["--:" for _ in (0, *shown)])]
    figures = (result["start_mb"], *(memory[number - 1] for number in shown))
    lines.append(row("private memory of the worker, MB", *(f"{figure:.0f}" for figure in figures)))
    said = (
        f"{result['growth']:+.1%} from the second swap to the last; a swap took {median(result['swap_seconds']):.1f} s."
    )
    return "\n".join([*lines, "", f"{said} {where(result)}"])


def gate(result: Result) -> str:
    """How often the gate promoted in each simulated world, and how often that was false."""
    found = result["simulations"]
    flipped = found["flipped"]
    lines = [row("world", "decisions", "promotions", "false"), row("---", "--:", "--:", "--:")]
    for name, label in _GATE_WORLDS.items():
        lines.append(row(label, *(f"{found[name][figure]:,}" for figure in ("decisions", "promoted", "false"))))
    said = (
        f"A promotion is false if the loss on {result['settings']['fresh_rows']:,} fresh rows is not lower. In "
        f"{flipped['worlds']} worlds that flipped, with {flipped['labels']:,} labels since, {flipped['promoted']} "
        f"challengers were promoted, {flipped['promoted_and_near']} of them within 3 points of the accuracy of a model "
        "fitted on the new world alone."
    )
    return "\n".join([*lines, "", f"{said} {where(result)}"])


_GROWTH_LOADS = {
    "predict": "/predict",
    "predict-traceparent": "/predict, a traceparent of its own in each request",
    "update": "/update",
}

_GATE_WORLDS = {
    "unchanged": "unchanged",
    "noise": "challengers fitted on noise",
    "repeated": "unchanged, up to six attempts each",
}

TABLES: Mapping[str, Callable[[Result], str]] = {
    "comparison": comparison,
    "growth": growth,
    "arrays": arrays,
    "bulk": bulk,
    "bulk-beside": beside,
    "score": score,
    "compiled": compiled,
    "models": models,
    "kinds": kinds,
    "swap-memory": swap_memory,
    "gate": gate,
}


def _label(name: str) -> str:
    base = name.removesuffix(TRACEPARENT)
    return f"{LABELS.get(base, base)}{', a traceparent of its own in each request' if name != base else ''}"


def _figure(name: str, rows: Mapping[str, Any], connections: str) -> str:
    own = _per_second(rows, name, connections)
    if own is None:
        return "-"
    ours_name = f"{_OURS}{TRACEPARENT}" if name.endswith(TRACEPARENT) else _OURS
    ours = _per_second(rows, ours_name, connections)
    if name == ours_name or ours is None:
        return f"{own:,.0f}"
    return f"{own:,.0f} ({ours / own:.{1 if ours / own >= 10 else 2}f})"


def _per_second(rows: Mapping[str, Any], name: str, connections: str) -> float | None:
    """None of a contender that was given up or not measured at the connections."""
    found = rows.get(name, {"failure": "not measured"})
    if found["failure"] is not None or connections not in found["median"]:
        return None
    return float(found["median"][connections]["per_second"])


def _traceparents(rows: Mapping[str, Any], connections: Sequence[str]) -> list[str]:
    """One line that compares the rows with a traceparent with those without, or nothing if there are none."""
    said = []
    for base in rows:
        pairs = [[_per_second(rows, name, number) for name in (f"{base}{TRACEPARENT}", base)] for number in connections]
        ratios = [f"{traced / plain:.2f}" if traced and plain else "-" for traced, plain in pairs]
        if f"{base}{TRACEPARENT}" in rows:
            said.append(f"{_label(base).strip('*')} {' / '.join(ratios)}")
    if not said:
        return []
    return [
        f"Requests/s with a traceparent divided by requests/s without, at {' / '.join(connections)} connections: "
        f"{'; '.join(said)}."
    ]


def _latencies(name: str, found: Mapping[str, Any]) -> str:
    open_load, alive = found["open_loop"], found["livez"]
    times = ", ".join(f"{label} {open_load[key]:.1f}" for label, key in _LATENCIES)
    where = LABELS[name].strip("*").removeprefix("this service, ")
    return (
        f"Open loop on {where} at half of the saturation rate, {open_load['per_second']:,.0f} requests/s: {times} ms; "
        f"/livez under full load: p99 {alive['p99_ms']:.1f}, maximum {alive['worst_ms']:.1f} ms."
    )


_LATENCIES = (("p50", "p50_ms"), ("p99", "p99_ms"), ("p99.9", "p999_ms"))


def _circumstances(result: Result) -> str:
    settings = result["settings"]
    has_traceparent = any(name.endswith(TRACEPARENT) for name in result["contenders"])
    return (
        "In brackets: requests/s of this service on SQLite divided by requests/s of the row"
        f"{', both with a traceparent if the row has one' if has_traceparent else ''}. "
        f"Medians of {settings['rounds']} interleaved rounds of {settings['seconds']:g} s; two workers each; the load "
        f"generator runs on the same machine. {where(result)}"
    )


def _plain(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


if __name__ == "__main__":
    main()
