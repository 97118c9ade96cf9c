"""`python -m service simulate`: runs the simulation, with progress bars, and prints the outcome."""

from contextlib import closing
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import MofNCompleteColumn, Progress
from rich.table import Table

from serialize.recipes import RECIPES
from service.cli import simulation
from service.cli.shift import ShiftError
from service.client import HttpClient, NoAnswer
from service.demo import NoDemo

_FIRST_PATIENCE_SECONDS = 10.0  # enough for a service that starts just now


def simulate(url: str, api_key: str, rate: float, rows: int, **options: Any) -> None:
    """Runs the simulation against a service and prints the outcome. Raises click's exceptions."""
    key = api_key.partition(",")[0].strip()
    try:
        with closing(HttpClient(url, key, patience=_FIRST_PATIENCE_SECONDS)) as client:
            served = simulation.Served.of(client)
        with closing(HttpClient(url, key)) as client:
            outcome = _run(client, served, simulation.rows(served, RECIPES, rows, **options), rate)
            _print(outcome, *simulation.reports(client, served.now))
    except ShiftError as error:
        raise click.BadParameter(str(error), param_hint="--shift") from error
    except (simulation.SimulationError, NoDemo, NoAnswer) as error:
        raise click.ClickException(str(error)) from error


def _run(
    client: HttpClient, served: simulation.Served, planned: list[simulation.PlannedRow], rate: float
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
