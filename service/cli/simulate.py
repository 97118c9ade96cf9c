"""`python -m service simulate|seed`: sends rows to a running service, with progress bars, and prints the outcome."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import MofNCompleteColumn, Progress
from rich.table import Table

from serialize.cli.summary import listed
from serialize.recipes import RECIPES
from serialize.recipes.csv_file import CsvFile
from service.cli import simulation
from service.cli.data import DataError, read_rows
from service.cli.options import OwnData, address
from service.cli.shift import ShiftError
from service.client import Client, ClientError
from service.demo import NoDemo, recipe_rows
from service.settings import Settings, SettingsError

_FIRST_PATIENCE_SECONDS = 10.0  # enough for a service that starts just now
_TIMEOUT_SECONDS = 30.0  # /performance takes long for a large log


def simulate(url: str | None, api_key: str | None, own: OwnData, rate: float, rows: int, **options: Any) -> None:
    """Runs the simulation against a service and prints the outcome. The rows are the user's own, or without a file
    those of a built-in data set. Raises click's exceptions."""
    with _failures():
        where = address(Settings.from_env(), url, api_key)
        served = _served(*where)
        planned = simulation.rows(served, _source(served, own), rows, **options)
        _send(*where, served, planned, rate, served.now)


def seed(url: str | None, api_key: str | None, own: OwnData, rows: int) -> None:
    """Fills the log with rows and their labels, as fast as the service answers, and prints the outcome. Raises click's
    exceptions."""
    with _failures():
        where = address(Settings.from_env(), url, api_key)
        served = _served(*where)
        planned = simulation.seed_rows(_source(served, own)(rows, 0))
        _send(*where, served, planned, math.inf, None)


@contextmanager
def _failures() -> Iterator[None]:
    """Turns expected errors into one line on standard error."""
    try:
        yield
    except ShiftError as error:
        raise click.BadParameter(str(error), param_hint="--shift") from error
    except (simulation.SimulationError, DataError, NoDemo, ClientError, SettingsError) as error:
        raise click.ClickException(str(error)) from error


def _served(url: str, key: str) -> simulation.Served:
    with Client(url, key, patience=_FIRST_PATIENCE_SECONDS) as client:
        return simulation.Served.of(client)


def _source(served: simulation.Served, own: OwnData) -> simulation.Source:
    """Where rows come from. Raises DataError for a file that does not fit the model."""
    if own.path is None:
        return partial(recipe_rows, RECIPES, served.name, served.task, served.signature)
    found = read_rows(CsvFile(own.path, own.sep, own.encoding), own.target, served.task, served.signature)
    if found.ignored:
        click.echo(f"Note: these columns are ignored, the model does not have them: {listed(found.ignored)}.", err=True)
    if own.target is None:
        click.echo("Note: no labels are sent; --target COLUMN names the column that holds them.", err=True)
    return found.choose


def _send(
    url: str, key: str, served: simulation.Served, planned: list[simulation.PlannedRow], rate: float, since: str | None
) -> None:
    with Client(url, key, timeout=_TIMEOUT_SECONDS) as client:
        _print(_run(client, served, planned, rate), *simulation.reports(client, since))


def _run(
    client: Client, served: simulation.Served, planned: list[simulation.PlannedRow], rate: float
) -> simulation.Outcome:
    with Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=Console(stderr=True)) as progress:
        bars = {
            "asked": progress.add_task(f"Predicting {escape(served.name)}", total=len(planned)),
            "labelled": progress.add_task("Labelling", total=sum(row.delay is not None for row in planned)),
        }
        return simulation.run(client, served.task, planned, rate, lambda name, more: progress.advance(bars[name], more))


def _print(outcome: simulation.Outcome, performance: dict[str, Any] | None, drift: dict[str, Any] | None) -> None:
    table = Table("", "", show_header=False)
    table.add_row("sent", f"{outcome.sent:,} in {outcome.seconds:.1f} s")
    for name in ("answered", "refused", "labelled"):
        table.add_row(name, f"{getattr(outcome, name):,}")
    for reason, (times, first) in outcome.refusals.items():
        table.add_row(escape(reason), escape(f"{times:,} times, first: {first}"))
    table.add_row("in /performance", escape(_performance(performance)))
    table.add_row("in /drift", escape(_drift(drift)))
    Console().print(table)


def _performance(body: dict[str, Any] | None) -> str:
    if body is None:
        return "not available"
    name = "accuracy" if "accuracy" in body["metrics"] else "mean_absolute_error"
    found = body["metrics"][name]
    if found["value"] is None:
        return f"{name} unknown, because there are no labels"
    training = (
        ""
        if found["training"] is None
        else f", in training {found['training']:.4g} ({body.get('training_method', 'method unknown')})"
    )
    return f"{name} {found['value']:.4g} of {body['labelled']:,} labelled{training}"


def _drift(body: dict[str, Any] | None) -> str:
    if body is None:
        return "not available"
    changed = [f"{name} ({', '.join(body['columns'][name]['changes'])})" for name in body["drifted"]]
    if not changed:
        return "too few rows to test" if body["verdict"] is None else "no drift"
    return f"drifted: {', '.join(changed)}"
