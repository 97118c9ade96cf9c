"""Options of commands that learn from the rows of a file: how to read it, and what is declared about its columns."""

from collections.abc import Callable
from functools import reduce
from typing import Any

import click

Command = Callable[..., None]


def separator(ctx: click.Context, parameter: click.Parameter, value: str) -> str:
    """The separator of a CSV file: one character, or the word tab. Raises click.BadParameter."""
    character = {"tab": "\t", "\\t": "\t"}.get(value, value)
    if len(character) != 1 or character in '"\r\n':
        raise click.BadParameter(f"{value!r} is not a single character such as ; or the word tab.")
    return character


def csv_options(command: Command) -> Command:
    """Adds the options for reading a CSV file: `sep`, `encoding` and `strings`."""
    return _with(command, _CSV)


def declarations(command: Command) -> Command:
    """Adds the options that declare something about columns; `declared` takes their values."""
    return _with(command, _DECLARATIONS)


def declared(options: dict[str, Any]) -> dict[str, Any]:
    """Takes the declarations out of the options of a command: arguments of `dump`. Raises click.BadParameter."""
    bounds = dict(_bound(text) for text in options.pop("bounds"))
    return {"bounds": bounds, **{name: options.pop(name) for name in _COLUMNS}}


def training_data(command: Command) -> Command:
    """Adds the option `training_data`: whether the artifact keeps the rows and targets."""
    return click.option(
        "--training-data/--no-training-data",
        default=True,
        show_default=True,
        help="Keep the rows in the artifact, so that the service can retrain the model.",
    )(command)


def _with(command: Command, options: tuple[Callable[[Command], Command], ...]) -> Command:
    return reduce(lambda made, option: option(made), reversed(options), command)


_CSV = (
    click.option(
        "--sep", default=",", show_default=True, callback=separator, help="The separator: a character, or tab."
    ),
    click.option("--encoding", default="utf-8", show_default=True, help="The encoding of the file, such as cp1252."),
    click.option(
        "--string", "strings", multiple=True, metavar="COLUMN", help="Read this column as text: 00012 stays so."
    ),
)
_COLUMNS = ("categories", "text", "nullable", "accept_unseen")
_DECLARATIONS = (
    click.option(
        "--bounds", multiple=True, metavar="COLUMN=LOW:HIGH", help="Inclusive limits; either may be left out."
    ),
    click.option(
        "--categories",
        multiple=True,
        metavar="COLUMN",
        help="Accept only the values of the training rows in this column.",
    ),
    click.option("--text", multiple=True, metavar="COLUMN", help="Accept any string in this column."),
    click.option(
        "--nullable",
        multiple=True,
        metavar="COLUMN",
        help="A column that may be null although no training row has a null.",
    ),
    click.option(
        "--accept-unseen",
        multiple=True,
        metavar="COLUMN",
        help="Accept other values than those of the training rows in this column of categories.",
    ),
)


def _bound(text: str) -> tuple[str, tuple[float | None, float | None]]:
    column, _, limits = text.rpartition("=")
    low, colon, high = limits.partition(":")
    try:
        if not column or not colon:
            raise ValueError(text)
        return column, (float(low) if low else None, float(high) if high else None)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not COLUMN=LOW:HIGH", param_hint="--bounds") from None
