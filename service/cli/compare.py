"""`python -m service compare`: compares two models on the labelled rows of the log that both answered."""

import json
from collections.abc import Mapping
from typing import Any

import click

from service.cli.models import open_registry
from service.cli.options import since_option, until_option
from service.prediction.filter import Selection

_SAID = {
    "first": "{first} is significantly better.",
    "second": "{second} is significantly better.",
    "neither": "Neither is significantly better.",
}


@click.command()
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@since_option
@until_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def compare(first: str, second: str, since: int | None, until: int | None, as_json: bool) -> None:
    """Compare two models on the labelled rows of the log that both answered.

    A row counts if each of them answered it when it came, or scored it later; `python -m service replay` lets a model
    score the rows of the past."""
    from service.learning.comparison import comparison  # noqa: PLC0415 - pandas takes a second
    from service.monitoring.drift import ModelVersion  # noqa: PLC0415

    with open_registry() as (_, session, registry):
        one, other = (ModelVersion(version, registry.manifest(version)) for version in (first, second))
        found = session.read(lambda: comparison(session.database, one, other, Selection(None, since, until)))
    click.echo(json.dumps(found) if as_json else described(found))


def described(found: Mapping[str, Any]) -> str:
    """A comparison of two models in some sentences, one a line."""
    text = (
        f"{found['rows']:,} labelled rows have an answer of both; {found['only_first']:,} only of {found['first']}, "
        f"{found['only_second']:,} only of {found['second']}."
    )
    if not found["rows"]:
        return text
    difference = found["difference"]
    return (
        f"{text}\n{found['loss'].replace('_', ' ').capitalize()}: {_shown(found['first_loss'])} of {found['first']}, "
        f"{_shown(found['second_loss'])} of {found['second']}; the difference is {_shown(difference['value'])}, its "
        f"{found['interval']:.0%} interval {_shown(difference['low'])} to {_shown(difference['high'])}.\n"
        + _SAID[found["better"]].format(**found)
    )


def _shown(number: float | None) -> str:
    return "undefined" if number is None else f"{number:.4g}"
