"""Options that several commands share."""

from collections.abc import Callable
from typing import Any

import click

from service.prediction.moment import EXPECTED_MOMENT, parse_moment


def selection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --since, --until (microseconds since 1970, or None) and --model-version to a command."""
    for option in (
        click.option("--model-version", help="Only predictions of this model version."),
        click.option("--until", callback=_moment, help="Only predictions made before this time."),
        click.option("--since", callback=_moment, help="Only predictions made from this time on (ISO 8601)."),
    ):
        command = option(command)
    return command


def _moment(ctx: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    try:
        return None if value is None else parse_moment(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not {EXPECTED_MOMENT}.") from None
