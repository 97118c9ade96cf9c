"""Whether a long log slows the service: `python -m benchmarks.growth`. A SQLite log is filled by bulk insert to each
size in turn, with the rows that the service itself would have written. /predict is loaded without and with a
traceparent of its own in each request, and then /update."""

import random
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import click
import requests

from benchmarks import result
from benchmarks.contenders import Model, service, sqlite_url
from benchmarks.loads import wrk
from benchmarks.loads.wrk import require_wrk
from benchmarks.machine import libraries, machine
from benchmarks.passengers import ID, all_passengers, prediction
from benchmarks.rounds import templates_for, warm_up
from benchmarks.servers import serve
from service.storage.connection import connect
from service.storage.migrate import prepare

_CONNECTIONS = 16
_LABELLED = 100_000
_CHUNK = 50_000
_LOADS = ("predict", "predict-traceparent", "update")


@dataclass(frozen=True, slots=True)
class Examples:
    """Rows of the log without their ids."""

    columns: list[str]
    rows: list[tuple[Any, ...]]


@click.command()
@click.option("--rows", default="0,1000000,10000000", show_default=True, help="The sizes, ascending, with commas.")
@click.option("--seconds", default=10.0, show_default=True, help="How long each load lasts.")
def main(rows: str, seconds: float) -> None:
    """Measure the service at growing sizes of its log and write the result as JSON."""
    require_wrk()
    before = machine()
    sizes: list[dict[str, Any]] = []
    written = examples()
    with tempfile.TemporaryDirectory(prefix="growth-") as folder:
        file = Path(folder) / "log.db"
        prepare(connect(f"sqlite:///{file}"))
        for size in map(int, rows.split(",")):
            fill(file, size, written)
            sizes.append(_measured(file, seconds))
            figures = (f"{path} {sizes[-1][path]['per_second']:,.0f} requests/s" for path in _LOADS)
            _say(f"{sizes[-1]['rows']:,} rows: {', '.join(figures)}")
    found = {
        "machine": before,
        "versions": libraries({}),
        "settings": {"seconds": seconds, "connections": _CONNECTIONS},
        "sizes": sizes,
    }
    click.echo(f"Wrote {result.write('growth', found).name}")


def fill(file: Path, size: int, examples: Examples) -> None:
    """Inserts what is missing to a number of rows: the examples in turn, with ids that count down from -1 and so meet
    none that is sent."""
    with sqlite3.connect(file) as database:
        database.execute("PRAGMA synchronous = OFF")
        database.execute("PRAGMA cache_size = -1000000")
        there = int(database.execute("SELECT count(*) FROM prediction").fetchone()[0])
        marks = ", ".join("?" * (len(examples.columns) + 1))
        insert = f"INSERT INTO prediction (observation_id, {', '.join(examples.columns)}) VALUES ({marks})"
        rows = ((str(-1 - number), *examples.rows[number % len(examples.rows)]) for number in range(there, size))
        while chunk := list(islice(rows, _CHUNK)):
            database.executemany(insert, chunk)
            database.commit()
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()


def examples() -> Examples:
    """What the service itself writes for all passengers."""
    with serve(service(Model(), sqlite_url, "service-sqlite")) as server:
        items = (prediction(passenger).replace(ID, str(i)) for i, passenger in enumerate(all_passengers()))
        headers = {"Content-Type": "application/json"}
        requests.post(server.url, data=f"[{', '.join(items)}]", headers=headers, timeout=60).raise_for_status()
        with sqlite3.connect(server.folder / "log.db") as database:
            found = database.execute("SELECT * FROM prediction")
            names = [column[0] for column in found.description]
            kept = [i for i, name in enumerate(names) if name not in ("id", "observation_id")]
            rows = [tuple(row[i] for i in kept) for row in found]
        database.close()
    return Examples([names[i] for i in kept], rows)


def _measured(file: Path, seconds: float) -> dict[str, Any]:
    """The rows that were there, their size, and the loads."""
    rows = _asked(file, "SELECT count(*) FROM prediction")[0][0]
    size = file.stat().st_size
    contender = service(Model(), lambda _: f"sqlite:///{file}", "service-sqlite")
    with serve(contender) as server:
        templates = templates_for(server)
        warm_up(server, templates, _CONNECTIONS)
        predict = wrk.run(server.url, templates, _CONNECTIONS, seconds, server.check)
        traced = wrk.run(server.url, templates, _CONNECTIONS, seconds, server.check, traceparent=True)
        labels = server.folder / "labels.txt"
        labels.write_text("".join(_labels(file)))
        update = wrk.run(server.url.replace("/predict", "/update"), labels, _CONNECTIONS, seconds, server.check)
    return {
        "rows": rows,
        "file_bytes": size,
        "bytes_a_row": size / rows if rows else None,
        "predict": asdict(predict),
        "predict-traceparent": asdict(traced),
        "update": asdict(update),
    }


def _labels(file: Path) -> Iterator[str]:
    """Bodies of /update for rows all over the log, in no order; past the end they come again, as corrections."""
    last = _asked(file, "SELECT max(id) FROM prediction")[0][0]
    chosen = random.Random(0).sample(range(1, last + 1), min(last, _LABELLED))
    with sqlite3.connect(file) as database:
        found = [
            database.execute("SELECT observation_id FROM prediction WHERE id = ?", (id_,)).fetchone() for id_ in chosen
        ]
    database.close()
    for true_class in ("true", "false"):
        for known in filter(None, found):
            yield f'{{"id": {known[0]}, "true_class": {true_class}}}\n'


def _asked(file: Path, query: str) -> list[Any]:
    with sqlite3.connect(file) as database:
        rows = database.execute(query).fetchall()
    database.close()
    return rows


def _say(text: str) -> None:
    click.echo(text, err=True)


if __name__ == "__main__":
    main()
