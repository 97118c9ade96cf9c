"""How fast the commands for many rows are: `python -m benchmarks.bulk`. Each round runs every command once; the figures
are the medians of the rounds."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import click

from benchmarks import result
from benchmarks.bulk.cluster import cluster
from benchmarks.bulk.inputs import as_text, write_passengers
from benchmarks.bulk.runs import Measured, run
from benchmarks.forest import forest
from benchmarks.machine import libraries, machine
from benchmarks.passengers import PROJECT
from benchmarks.postgresql import postgresql

_ARTIFACTS = PROJECT / "artifacts"
_ANSWERS = ("--id", "id", "--keep", "Survived", "--json", "--force")
_FEW = 32  # the same file with so many times fewer rows, for what is slower


@dataclass(frozen=True, slots=True)
class Place:
    """The folder of a benchmark with its files: passengers, fewer of them in three formats, and a forest."""

    folder: Path
    rows: int

    @property
    def few(self) -> int:
        """The number of rows of the smaller files."""
        return self.rows // _FEW

    def score(self, source: str, *options: str, one_core: bool = True, **variables: str) -> Measured:
        """Runs `python -m service score`."""
        given = {"ARTIFACTS": str(_ARTIFACTS), "DATABASE_URL": "sqlite:///none.db", **variables}
        return run(("-m", "service", "score", source, *_ANSWERS, *options), given, self.folder, one_core=one_core)


@click.command()
@click.option("--rows", default=14_000_000, show_default=True, help="Rows of the largest file of each round.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--memory-rows", default=20_000_000, show_default=True, help="Rows of the file for the memory.")
def main(rows: int, rounds: int, memory_rows: int) -> None:
    """Measure all commands and write the result as JSON."""
    before = machine()
    with _place(rows) as place:
        figures: dict[str, list[dict[str, float]]] = {}
        for number in range(rounds):
            for name, counted, measured in _round(place):
                figure = {"rows": counted, **measured._asdict()}
                del figure["told"]
                figures.setdefault(name, []).append(figure)
                click.echo(f"{number + 1} {name}: {counted / measured.seconds:,.0f} rows/s", err=True)
        memory = _memory(place, memory_rows)
    found = {
        "machine": before,
        "versions": libraries({}),
        "settings": {"rows": rows, "rounds": rounds, "memory_rows": memory_rows},
        "figures": figures,
        "median": {name: _median(runs) for name, runs in figures.items()},
        "memory_mb": memory,
    }
    click.echo(f"Wrote {result.write('bulk', found).name}")


@contextmanager
def _place(rows: int) -> Iterator[Place]:
    with TemporaryDirectory(prefix="bulk-") as name:
        folder = Path(name)
        write_passengers(folder / "many.parquet", rows)
        few = write_passengers(folder / "few.parquet", rows // _FEW)
        as_text(few, folder / "few.csv")
        as_text(few, folder / "few.ndjson")
        forest(folder / "forest")
        yield Place(folder, rows)


def _round(place: Place) -> Iterator[tuple[str, int, Measured]]:
    """The name, the number of rows and the figures of each command."""
    few = place.few
    yield (
        "pandas",
        few,
        run(
            (
                "-m",
                "benchmarks.bulk.pandas_script",
                str(_ARTIFACTS / "pipeline.joblib"),
                "few.parquet",
                "script.parquet",
            ),
            {},
            place.folder,
        ),
    )
    yield "parquet", place.rows, place.score("many.parquet", "-o", "out.parquet")
    yield "csv", few, place.score("few.csv", "-o", "out.csv")
    yield "ndjson", few, place.score("few.ndjson", "-o", "out.ndjson")
    yield "forest-bare", few, run(("-m", "benchmarks.bulk.bare_scorer", "forest", "few.parquet"), {}, place.folder)
    yield "forest", few, place.score("few.parquet", "-o", "out.parquet", ARTIFACTS="forest")
    of_forest = partial(place.score, "many.parquet", one_core=False, ARTIFACTS="forest")
    yield "one-process", place.rows, of_forest("-o", "one/")
    yield "two-processes", place.rows, of_forest("-o", "two/", "--workers", "2")
    # An idle cluster takes a part of the processors, so it ends after this.
    with TemporaryDirectory(prefix="cluster-") as folder, cluster(Path(folder)) as found:
        found.worker_ids()  # waits for the workers
        yield "two-workers", place.rows, of_forest("-o", "cluster/", "--scheduler", found.address)
    yield from _with_log(place, "sqlite", f"sqlite:///{place.folder}/log-{time.monotonic_ns()}.db")
    with postgresql() as new_database:
        yield from _with_log(place, "postgresql", new_database(place.folder))


def _with_log(place: Place, name: str, url: str) -> Iterator[tuple[str, int, Measured]]:
    """The same for the commands that use the log, on an empty database."""
    few = place.few
    run(("-m", "service", "migrate"), {"DATABASE_URL": url, "ARTIFACTS": str(_ARTIFACTS)}, place.folder)
    yield f"log-{name}", few, place.score("few.parquet", "-o", "out.parquet", "--log", DATABASE_URL=url)
    yield f"label-{name}", few, _command(place, url, "label", "few.parquet", "--true-class", "Survived", "--json")
    yield (
        f"export-{name}",
        few,
        _timed(place, url, "export", "--format", "parquet", "--force", "-o", f"{name}.parquet"),
    )
    feeds = ("export", "--to", str(place.folder / f"feeds-{name}"), "--since-last")
    yield f"feeds-{name}", 2 * few, _timed(place, url, *feeds)


def _command(place: Place, url: str, *arguments: str) -> Measured:
    return run(("-m", "service", *arguments), {"DATABASE_URL": url, "ARTIFACTS": str(_ARTIFACTS)}, place.folder)


def _timed(place: Place, url: str, *arguments: str) -> Measured:
    """A command that does not tell its seconds: those of a command that does nothing are subtracted."""
    nothing = run(("-c", "import service.__main__, service.cli.log, pyarrow.parquet"), {}, place.folder)
    measured = _command(place, url, *arguments)
    return measured._replace(seconds=measured.wall - nothing.wall)


def _memory(place: Place, rows: int) -> Mapping[str, float]:
    """The largest resident memory in MB of a run with few rows, and with many."""
    few = place.score("many.parquet", "-o", "out.parquet").peak_mb
    write_passengers(place.folder / "most.parquet", rows, group_rows=1_000_000)
    most = place.score("most.parquet", "-o", "out.parquet").peak_mb
    return {"few": few, "most": most}


def _median(runs: list[dict[str, float]]) -> dict[str, Any]:
    return {
        "per_second": median(one["rows"] / one["seconds"] for one in runs),
        "wall_per_second": median(one["rows"] / one["wall"] for one in runs),
        "peak_mb": median(one["peak_mb"] for one in runs),
    }


if __name__ == "__main__":
    main()
