"""The table of arrays for docs/performance.md."""

from benchmarks.table import Result, row, where

_OURS = "service-sqlite"
_LABELS = {
    _OURS: "**this service, SQLite**",
    "fastapi": "FastAPI, one pandas frame per array, stores nothing (uvicorn)",
    "fastapi-stored": "the same with one `executemany` and one commit per array, SQLite",
    "service-postgresql": "this service, PostgreSQL",
    "service-multiclass": "this service, SQLite, a multiclass model (recipe iris)",
    "service-regression": "this service, SQLite, a regression model (recipe diabetes)",
}


def table(result: Result) -> str:
    """Items per second by shape and, in brackets, the ratio of this service to the contender; the processor time of an
    item; the memory and the time that a large array takes."""
    shapes = result["settings"]["shapes"]
    header = [f"{int(items):,} x {connections}" for items, connections in (shape.split("x") for shape in shapes)]
    lines = [
        row("items/s by items x connections", *header, "us of CPU per item"),
        row("---", *["--:" for _ in shapes], "--:"),
    ]
    for name, found in result["contenders"].items():
        medians = [found["median"][shape] for shape in shapes]
        figures = [f"{one['per_second']:,.0f}" + (f" ({one['ratio']:.2f})" if name != _OURS else "") for one in medians]
        lines.append(row(_LABELS[name], *figures, " / ".join(f"{one['cpu_us']:.1f}" for one in medians)))
    return "\n".join([*lines, "", _large(result), _circumstances(result)])


def _large(result: Result) -> str:
    found = result["large"]
    alive = found["livez"]
    return (
        f"Arrays of {found['items']:,}, one after the other, to a service with one worker take "
        f"{found['above_idle_mb']:.0f} MB more than the idle worker; /livez meanwhile: p50 {alive['p50_ms']:.1f}, "
        f"p99 {alive['p99_ms']:.1f}, maximum {alive['worst_ms']:.1f} ms."
    )


def _circumstances(result: Result) -> str:
    settings = result["settings"]
    return (
        "In brackets: items/s of the first row divided by items/s of the row, the median of the rounds' ratios. "
        "CPU: user and system time of all processes of the server, without those of PostgreSQL, in the order of the "
        f"columns. Medians of {settings['rounds']} interleaved rounds of {settings['seconds']:g} s; two workers each; "
        f"the load generator runs on the same machine. {where(result)}"
    )
