"""Whether `score --log` slows /predict: `python -m benchmarks.bulk.beside`. /predict is sent at half of its saturation
rate, in turn without and with the command on the same database, which logs until the load ends."""

import statistics
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from benchmarks import result
from benchmarks.bulk.inputs import write_passengers
from benchmarks.contenders import Model, service
from benchmarks.learning.retraining import running
from benchmarks.loads import open_loop, wrk
from benchmarks.loads.wrk import first_id, require_wrk
from benchmarks.machine import libraries, machine
from benchmarks.passengers import PROJECT
from benchmarks.postgresql import postgresql
from benchmarks.rounds import templates_for, warm_up
from benchmarks.servers import serve
from service.settings import set_native_defaults
from service.storage.connection import connect

_CONNECTIONS = 64
_ROWS = 3_000_000  # more than are logged in a load
_DELAY_SECONDS = 1.0  # from the start of a load to the start of the command


@click.command()
@click.option("--rounds", default=3, show_default=True, help="How often each load is measured.")
@click.option("--seconds", default=15.0, show_default=True, help="How long each load lasts.")
def main(rounds: int, seconds: float) -> None:
    """Measure the latency of /predict with and without the command beside it and write the result as JSON."""
    require_wrk()
    set_native_defaults()
    before = machine()
    with TemporaryDirectory(prefix="beside-") as name, postgresql() as new_postgresql:
        urls: dict[str, Callable[[Path], str]] = {
            "sqlite": lambda folder: f"sqlite:///{folder}/log.db",
            "postgresql": new_postgresql,
        }
        found = {kind: _measured(kind, url(Path(name)), Path(name), rounds, seconds) for kind, url in urls.items()}
    settings = {"rounds": rounds, "seconds": seconds, "connections": _CONNECTIONS}
    written = {"machine": before, "versions": libraries({}), "settings": settings, "databases": found}
    click.echo(f"Wrote {result.write('bulk-beside', written).name}")


def _measured(kind: str, url: str, folder: Path, rounds: int, seconds: float) -> dict[str, Any]:
    contender = service(Model(), lambda _: url, f"service-{kind}")
    with serve(contender) as server:
        templates = templates_for(server)
        warm_up(server, templates, _CONNECTIONS)
        saturated = wrk.run(server.url, templates, _CONNECTIONS, 10.0, server.check).per_second
        bodies = templates.read_text().splitlines()
        loads: dict[str, list[Any]] = {"without": [], "with": []}
        for number in range(rounds):
            loads["without"].append(asdict(open_loop.run(server.url, bodies, saturated / 2, seconds, first_id())))
            source = write_passengers(folder / "rows.parquet", _ROWS, first_id=10**12 + number * _ROWS)
            options = ("-o", str(folder / "out.parquet"), "--log", "--id", "id", "--keep", "Survived", "--force")
            variables = contender.variables(PROJECT)
            before = _newest(url)
            with running(variables, "score", str(source), *options, delay=_DELAY_SECONDS):
                load = open_loop.run(server.url, bodies, saturated / 2, seconds, first_id())
                logged = _newest(url) - before - load.requests
            loads["with"].append({**asdict(load), "logged": logged})
            if logged <= 0:
                raise RuntimeError("the command has logged nothing")
    p99 = {name: statistics.median(each["p99_ms"] for each in found) for name, found in loads.items()}
    click.echo(f"{kind}: p99 {p99['without']:.1f} ms without and {p99['with']:.1f} ms with score --log", err=True)
    return {"saturated": saturated, **loads, "p99_ms": p99}


def _newest(url: str) -> int:
    database = connect(url)
    with database.connection_context():
        (newest,) = database.execute_sql("SELECT coalesce(max(id), 0) FROM prediction").fetchone()
    return int(newest)


if __name__ == "__main__":
    main()
