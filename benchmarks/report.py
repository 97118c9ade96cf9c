"""The tables of the README and of docs/performance.md, from the newest result files: `python -m benchmarks.report
README.md docs/performance.md` writes them between `<!-- benchmark -->` and `<!-- /benchmark -->`. A name in the first
marker, as in `<!-- benchmark growth -->`, chooses another result than the comparison."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from benchmarks.result import RESULTS, newest

LABELS = {
    "service-sqlite": "**this service, SQLite**",
    "service-postgresql": "this service, PostgreSQL",
    "service-beside": "this service, the other checkout",
    "naive": "Flask-RESTful, a pandas row and an insert a request (gunicorn sync)",
    "fastapi": "FastAPI, a pandas row, stores nothing (uvicorn)",
    "constant": "Flask-RESTful answering a constant (the ceiling)",
    "mlserver": "MLServer, batching, stores nothing",
    "mlflow": "MLflow, stores nothing",
    "bentoml": "BentoML, batching, stores nothing",
    "litserve": "LitServe, batching, stores nothing",
    "vetiver": "vetiver, stores nothing",
}

_OURS = "service-sqlite"
_MARKED = re.compile(r"(<!-- benchmark(?: ([a-z-]+))? -->\n).*?(<!-- /benchmark -->)", re.DOTALL)

Result = Mapping[str, Any]


@click.command()
@click.argument("documents", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(documents: tuple[Path, ...]) -> None:
    """Write the tables into the documents."""
    for document in documents:
        document.write_text(written(document.read_text(), RESULTS))
        click.echo(f"{document} is up to date.")


def written(text: str, results: Path) -> str:
    """The text with the tables of the results between its markers; where there is no result yet, with what is there."""

    def table(marked: re.Match[str]) -> str:
        name = marked[2] or "comparison"
        found = newest(name, results)
        if found is None:
            return marked[0]
        return f"{marked[1]}{TABLES.get(name, comparison)(found)}\n{marked[3]}"

    return _MARKED.sub(table, text)


def comparison(result: Result) -> str:
    """Requests a second with, in brackets, how many times as many this service answers; memory and start-up; and the
    latencies of an open loop."""
    connections = [str(number) for number in result["settings"]["connections"]]
    rows = _best_constant(result["contenders"])
    ours = rows[_OURS].get("median", {})
    lines = [
        _row("requests/s at ... connections", *connections, "MB a worker", "s to the first answer"),
        _row("---", *["--:" for _ in connections], "--:", "--:"),
    ]
    for name, found in rows.items():
        figures = [_figure(name, found, ours, number) for number in connections]
        lines.append(
            _row(LABELS.get(name, name), *figures, _plain(found["worker_mb"], 0), _plain(found["start_seconds"], 1))
        )
    said = [_latencies(name, found) for name, found in rows.items() if "open_loop" in found]
    return "\n".join([*lines, "", *([" ".join(said)] if said else []), _circumstances(result)])


def growth(result: Result) -> str:
    """Requests a second by the number of rows in the log."""
    lines = [_row("rows in the log", "/predict", "/update", "bytes a row"), _row("--:", "--:", "--:", "--:")]
    for found in result["sizes"]:
        figures = (f"{found[path]['per_second']:,.0f}" for path in ("predict", "update"))
        lines.append(_row(f"{found['rows']:,}", *figures, _plain(found["bytes_a_row"], 0)))
    return "\n".join([*lines, "", f"Requests/s at {result['settings']['connections']} connections. {_where(result)}"])


def many(result: Result) -> str:
    """Rows a second of arrays, and the memory of a large one."""
    lines = [_row("arrays of 1,000, connections", "rows/s", "rows/s a core"), _row("--:", "--:", "--:")]
    for number, found in result["arrays"].items():
        lines.append(_row(number, f"{found['rows_per_second']:,.0f}", f"{found['rows_per_second_a_core']:,.0f}"))
    large = result["large"]
    said = f"An array of {large['rows']:,} takes a worker {large['above_idle_mb']:.0f} MB above idle."
    return "\n".join([*lines, "", f"{said} {_where(result)}"])


TABLES: Mapping[str, Callable[[Result], str]] = {"comparison": comparison, "growth": growth, "many": many}


def _best_constant(contenders: Mapping[str, Any]) -> dict[str, Any]:
    """The contenders with the constants as one: at each number of connections the better of them."""
    constants = {name: found for name, found in contenders.items() if name.startswith("constant")}
    rows = {name: found for name, found in contenders.items() if name not in constants}
    answering = [found for found in constants.values() if found["failure"] is None]
    if not answering:
        return rows
    best = max(answering, key=lambda found: max(one["per_second"] for one in found["median"].values()))
    medians = {
        number: max((found["median"][number] for found in answering), key=lambda one: float(one["per_second"]))
        for number in best["median"]
    }
    return rows | {"constant": {**best, "median": medians}}


def _figure(name: str, found: Mapping[str, Any], ours: Mapping[str, Any], connections: str) -> str:
    own = found["median"].get(connections)
    if own is None or found["failure"] is not None:
        return "-"
    figure = f"{own['per_second']:,.0f}"
    if name == _OURS or connections not in ours:
        return figure
    ratio = ours[connections]["per_second"] / own["per_second"]
    return f"{figure} ({ratio:.{1 if ratio >= 10 else 2}f})"


def _latencies(name: str, found: Mapping[str, Any]) -> str:
    open_load, alive = found["open_loop"], found["livez"]
    times = ", ".join(f"{label} {open_load[key]:.1f}" for label, key in _LATENCIES)
    where = LABELS[name].strip("*").removeprefix("this service, ")
    return (
        f"Open loop on {where} at half of saturation, {open_load['per_second']:,.0f} requests/s: {times} ms; "
        f"/livez under full load: p99 {alive['p99_ms']:.1f}, worst {alive['worst_ms']:.1f} ms."
    )


_LATENCIES = (("p50", "p50_ms"), ("p99", "p99_ms"), ("p99.9", "p999_ms"))


def _circumstances(result: Result) -> str:
    settings = result["settings"]
    return (
        "In brackets how many times as many this service answers. "
        f"Medians of {settings['rounds']} interleaved rounds of {settings['seconds']:g} s, two workers each, the load "
        f"generator on the same machine. {_where(result)}"
    )


def _where(result: Result) -> str:
    machine, versions = result["machine"], result["versions"]["service"]
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB; Python {versions['python']}; "
        f"{result['date'][:10]}."
    )


def _plain(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
