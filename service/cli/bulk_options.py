"""What the commands for many rows share."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import reduce
from importlib.util import find_spec
from time import monotonic
from typing import TYPE_CHECKING, Any

import click
from peewee import PeeweeException
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from serialize.cli.options import separator
from serialize.errors import ArtifactError
from service.errors import ServiceError
from service.settings import SettingsError
from service.storage.connection import DatabaseError, failure

if TYPE_CHECKING:
    from serialize.files.places import InputFile
    from service.bulk.rejects import FaultCounts


FORMATS = click.Choice(["parquet", "csv", "ndjson", "arrow"])


def reading_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --sep, --encoding and --input-format to a command."""
    return _with(
        command,
        click.option(
            "--sep", default=",", show_default=True, callback=_separator, help="The separator of CSV, or tab."
        ),
        click.option(
            "--encoding",
            default="utf-8",
            show_default=True,
            callback=_encoding,
            help="The encoding of CSV, such as cp1252.",
        ),
        click.option("--input-format", type=FORMATS, help="What standard input holds."),
    )


def rejects_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --rejects to a command."""
    return click.option(
        "--rejects",
        metavar="FILE",
        callback=_rejects,
        help="Write the faults of rejected rows to this file, as NDJSON.",
    )(command)


def ending_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --force, --strict and --json to a command: what it does with files that exist, and how it ends."""
    return _with(
        command,
        click.option("--force", is_flag=True, help="Overwrite files that exist."),
        click.option("--strict", is_flag=True, help="Exit with 1 if a row is rejected."),
        click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON."),
    )


def _with(command: Callable[..., Any], *options: Callable[..., Any]) -> Callable[..., Any]:
    return reduce(lambda made, option: option(made), reversed(options), command)


def _separator(context: click.Context, parameter: click.Parameter, value: str) -> str:
    character = separator(context, parameter, value)
    if not character.isascii():
        raise click.BadParameter(f"{value!r} is not an ASCII character.")
    return character


def _encoding(_: click.Context, __: click.Parameter, value: str) -> str:
    try:
        "".encode(value)
    except LookupError as error:
        raise click.BadParameter(f"{error}.") from error
    return value


def _rejects(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    if value and value.endswith(".gz"):
        raise click.BadParameter("it is a file of plain NDJSON.")
    return value


def require_pyarrow() -> None:
    """Raises click.ClickException unless pyarrow is installed."""
    if find_spec("pyarrow") is None:
        raise click.ClickException(
            "This command needs pyarrow, which is not installed; run pip install 'prediction-service[bulk]'."
        )


def require_not_read(files: Sequence["InputFile"], option: str, place: str | None) -> None:
    """Raises click.UsageError if the file that an option lets a command write is one of the input."""
    from serialize.files.places import STANDARD, resolved  # noqa: PLC0415 - it needs pyarrow

    if place not in (None, STANDARD) and resolved(place) in {resolved(file.name) for file in files}:
        raise click.UsageError(f"{place} is a file of the input; name another one with {option}.")


@contextmanager
def failures() -> Iterator[None]:
    """Turns expected errors into one line on standard error."""
    from serialize.files.place_error import PlaceError  # noqa: PLC0415
    from service.bulk.scoring.layout import LayoutError  # noqa: PLC0415 - it needs pyarrow

    try:
        yield
    except (
        PlaceError,
        LayoutError,
        SettingsError,
        DatabaseError,
        ArtifactError,
        ServiceError,
    ) as error:
        raise click.ClickException(" ".join(str(error).split())) from error
    except PeeweeException as error:
        raise click.ClickException(failure(error)) from error


@contextmanager
def rows_progress() -> Iterator[Callable[[float, int], None]]:
    """A progress bar with rows/s and the time left, if standard error is a terminal. It yields a function that takes
    the share that is done and the number of rows."""
    console, began = Console(stderr=True), monotonic()
    columns = BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[speed]}"), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=1.0, speed="")

        def advance(share: float, rows: int) -> None:
            bar.update(task, completed=share, speed=f"{rows / max(monotonic() - began, 1e-3):,.0f} rows/s")

        yield advance


def listed_faults(faults: "FaultCounts") -> list[dict[str, str | int]]:
    """The number of faults by kind and place for a summary in JSON, the most frequent first."""
    return [{"kind": kind, "pointer": place, "faults": number} for (kind, place), number in faults.most_common()]


def show_faults(faults: "FaultCounts") -> None:
    """Prints the number of faults by kind and place on standard error, if there are any."""
    if faults:
        table = Table("fault", "place", "rows")
        for (kind, place), number in faults.most_common():
            table.add_row(escape(kind), escape(place.encode("utf-8", "backslashreplace").decode()), f"{number:,}")
        Console(stderr=True).print(table)
