"""The command of arrays: `python -m benchmarks arrays`. This service beside what a user would write with FastAPI, with
models of each task and on each database, in one run."""

import tempfile
from contextlib import ExitStack
from pathlib import Path

import click

from benchmarks import result
from benchmarks.arrays.contenders import fastapi, fastapi_stored, on_postgresql, on_sqlite, with_recipe
from benchmarks.arrays.large import large
from benchmarks.arrays.rounds import Shape, measure, to_json
from benchmarks.arrays.table import table
from benchmarks.loads.wrk import require_wrk
from benchmarks.machine import libraries, machine
from benchmarks.passengers import WrongAnswer
from benchmarks.postgresql import postgresql
from benchmarks.servers import NotStarted
from benchmarks.venvs import python_of


def _shapes(_: click.Context, __: click.Parameter, value: str) -> list[Shape]:
    try:
        return [Shape.parsed(text) for text in value.split(",")]
    except ValueError:
        raise click.BadParameter("expected items and connections, such as 1000x4, with commas between them") from None


@click.command()
@click.option("--seconds", default=5.0, show_default=True, help="How long each load lasts.")
@click.option("--rounds", default=3, show_default=True, help="How often each is measured; the medians count.")
@click.option(
    "--shapes", default="1000x1,1000x4,100x4", show_default=True, callback=_shapes, help="Items x connections."
)
def arrays(seconds: float, rounds: int, shapes: list[Shape]) -> None:
    """Measure arrays and write the result as JSON."""
    require_wrk()
    before = machine()
    python = python_of("fastapi")
    try:
        with ExitStack() as stack:
            models = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-models-")))
            contenders = [
                on_sqlite(),
                fastapi(python),
                fastapi_stored(python),
                on_postgresql(stack.enter_context(postgresql())),
                with_recipe("iris", "service-multiclass", models / "iris"),
                with_recipe("diabetes", "service-regression", models / "diabetes"),
            ]
            measured = measure(contenders, shapes, seconds, rounds, _say)
        of_large = large(seconds)
    except (NotStarted, WrongAnswer) as error:
        raise click.ClickException(str(error)) from error
    found = {
        "machine": before,
        "versions": libraries({"fastapi": python}),
        "settings": {"seconds": seconds, "rounds": rounds, "shapes": list(map(str, shapes))},
        "contenders": to_json(measured),
        "large": of_large,
    }
    path = result.write("arrays", found)
    click.echo(table(result.newest("arrays") or found))
    click.echo(f"Wrote {path.name}")


def _say(text: str) -> None:
    click.echo(text, err=True)
