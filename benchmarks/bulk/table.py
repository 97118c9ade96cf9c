"""The table of the commands for many rows."""

from statistics import median
from typing import Any

from benchmarks.table import Result, row, where

LABELS = {
    "parquet": "`score`, Parquet to Parquet, one core",
    "csv": "`score`, CSV to CSV, one core",
    "ndjson": "`score`, NDJSON to NDJSON, one core",
    "forest": "`score`, a forest of 200 trees, one core",
    "one-process": "the forest, into a folder, one process, two cores",
    "two-processes": "the forest, `--workers 2`, into a folder, two cores",
    "two-workers": "the forest, `--scheduler`, two workers of one thread, two cores",
    "log-sqlite": "`score --log`, SQLite",
    "log-postgresql": "`score --log`, PostgreSQL",
    "label-sqlite": "`label`, SQLite",
    "label-postgresql": "`label`, PostgreSQL",
    "export-sqlite": "`export --format parquet`, SQLite",
    "export-postgresql": "`export --format parquet`, PostgreSQL",
    "feeds-sqlite": "`export --since-last`, SQLite",
    "feeds-postgresql": "`export --since-last`, PostgreSQL",
    "pandas": "a script with pandas and `predict_proba`, one core",
}


def table(result: Result) -> str:
    """Rows per second and memory by command."""
    found, settings = result["median"], result["settings"]
    lines = [row("command", "rows/s", "rows/s with the start", "MB"), row("---", "--:", "--:", "--:")]
    for name, label in LABELS.items():
        if name in found:
            one = found[name]
            lines.append(
                row(label, f"{one['per_second']:,.0f}", f"{one['wall_per_second']:,.0f}", f"{one['peak_mb']:,.0f}")
            )
    speed = {name: one["per_second"] for name, one in found.items()}
    others = result["figures"]["csv"][0]["rows"]
    said = (
        f"Passengers of the shipped model: {settings['rows']:,} rows for Parquet to Parquet and for the forest in a "
        f"folder, and {others:,} for the others. Medians of {settings['rounds']} interleaved rounds. The first "
        "column does not count the start and the loading of the model; MB are those of the largest process. `score` is "
        f"{speed['parquet'] / speed['pandas']:.1f} times as fast as the script. The forest has "
        f"{speed['forest'] / speed['forest-bare']:.2f} of the speed of its compiled form alone. Two processes have "
        f"{speed['two-processes'] / speed['one-process']:.2f} and two workers of a cluster "
        f"{speed['two-workers'] / speed['one-process']:.2f} of the speed of one process. "
        f"{settings['memory_rows']:,} rows in row groups of a million took {result['memory_mb']['most']:,.0f} MB."
    )
    return "\n".join([*lines, "", f"{said} {where(result)}"])


def beside(result: Result) -> str:
    """What /predict takes without and beside `score --log`."""
    header = (
        "p99 in ms",
        "alone",
        "sent late",
        "beside `score --log`",
        "sent late",
        "rows/s that are logged meanwhile",
    )
    lines = [row(*header), row("---", *["--:" for _ in header[1:]])]
    for name, found in result["databases"].items():
        cells = [f"{found['p99_ms'][load]:.1f} | {_late(found[load]):.1f}" for load in ("without", "with")]
        logged = median(one["logged"] / result["settings"]["seconds"] for one in found["with"])
        lines.append(row(name, *cells, f"{logged:,.0f}"))
    settings = result["settings"]
    said = (
        f"An open loop at half of the saturation rate; medians of {settings['rounds']} interleaved loads of "
        f"{settings['seconds']:g} s. The load generator, the service and the command share the cores. A request is "
        "sent late if the generator waits for a core or for a free connection; that delay is part of the p99. "
        f"{where(result)}"
    )
    return "\n".join([*lines, "", said])


def _late(loads: Any) -> float:
    return median(float(one["lag_p99_ms"]) for one in loads)
