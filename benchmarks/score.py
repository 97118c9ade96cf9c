"""What keeping score costs: `python -m benchmarks.score`. A log of labelled rows, each with a probability of its own,
is made on SQLite and on PostgreSQL, and the answer of GET /performance is asked for: for the first time in a process,
again, and after one more label."""

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from service.settings import set_native_defaults

set_native_defaults()

import click  # noqa: E402
from peewee import Database  # noqa: E402

from benchmarks import result  # noqa: E402
from benchmarks.machine import libraries, machine  # noqa: E402
from benchmarks.postgresql import postgresql  # noqa: E402
from serialize import load  # noqa: E402
from service.monitoring.performance import Performance  # noqa: E402
from service.prediction.filter import PerformanceQuery, Selection  # noqa: E402
from service.storage.column_cache import ColumnCache  # noqa: E402
from service.storage.connection import connect, kind  # noqa: E402
from service.storage.migrate import prepare  # noqa: E402
from service.storage.postgresql_columns import PostgresqlColumns  # noqa: E402
from service.storage.sqlite_columns import SqliteColumns  # noqa: E402

_ARTIFACTS = Path(__file__).parents[1] / "artifacts"
_OBSERVATION = '{"Pclass":3,"Sex":"male","Age":22,"SibSp":1,"Parch":0,"Fare":7.25,"Cabin":null,"Embarked":"S"}'
_NUMBERS = {
    "sqlite": "WITH RECURSIVE number(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM number WHERE i < {rows}) "
    "SELECT i, abs(random() / 9223372036854775808.0) AS p, abs(random() / 9223372036854775808.0) AS q, "
    "strftime('%Y-%m-%dT%H:%M:%f000+00:00', 1767225600 + i, 'unixepoch') AS moment FROM number",
    "postgresql": "SELECT i, random() AS p, random() AS q, "
    "timestamptz '2026-01-01' + i * interval '1 second' AS moment FROM generate_series(1, {rows}) AS number(i)",
}
_INSERT = """
    INSERT INTO prediction (observation_id, observation, proba, predicted_class, threshold, true_class, model_version,
                            created_at, labelled_at)
    SELECT CAST(i AS TEXT), '{observation}', p, CASE WHEN p >= 0.5 THEN 'true' ELSE 'false' END, 0.5,
           CASE WHEN q < p THEN 'true' ELSE 'false' END, 'aaaaaaaaaaaa', moment, moment
    FROM ({numbers}) AS made
"""


@click.command()
@click.option("--rows", default=1_000_000, show_default=True, help="Labelled rows in the log.")
def main(rows: int) -> None:
    """Measure on both databases and write the result as JSON."""
    with TemporaryDirectory(prefix="score-") as folder, postgresql() as new_database:
        urls = [f"sqlite:///{folder}/log.db", new_database(Path(folder))]
        measured = {kind(connect(url)): _measured(connect(url), rows) for url in urls}
    for name, seconds in measured.items():
        click.echo(f"{name}: {', '.join(f'{what} {second:.3f} s' for what, second in seconds.items())}", err=True)
    found = {"machine": machine(), "versions": libraries({}), "settings": {"rows": rows}, "seconds": measured}
    click.echo(f"Wrote {result.write('score', found).name}")


def _measured(database: Database, rows: int) -> dict[str, float]:
    """Seconds by what was asked."""
    prepare(database)
    with database.connection_context():
        _fill(database, rows)
        manifest = load(_ARTIFACTS).manifest
        read = SqliteColumns if kind(database) == "sqlite" else PostgresqlColumns
        performance = Performance(manifest, ColumnCache(read(database, manifest.task)))

        def ask() -> Any:
            return performance.report(PerformanceQuery(Selection()))

        first, again = _timed(ask), _timed(ask)
        database.execute_sql("UPDATE prediction SET true_class = 'true' WHERE id = 1")
        return {"first": first, "again": again, "after a label": _timed(ask)}


def _fill(database: Database, rows: int) -> None:
    numbers = _NUMBERS[kind(database)].format(rows=rows)
    database.execute_sql(_INSERT.format(observation=_OBSERVATION, numbers=numbers))
    database.execute_sql("ANALYZE prediction")
    if kind(database) == "sqlite":
        database.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")


def _timed(ask: Callable[[], Any]) -> float:
    start = time.perf_counter()
    ask()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
