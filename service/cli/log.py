"""The commands on the log: `python -m service export|purge`."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import IO

import click
from peewee import Database, PeeweeException
from rich.console import Console
from rich.progress import Progress

from service.cli.options import selection_options
from service.errors import Unavailable
from service.export.atomic_file import new_file
from service.export.formats import Writer, write_csv, write_ndjson
from service.export.log_table import export_table
from service.prediction.filter import PredictionFilter, Selection
from service.settings import Settings, SettingsError
from service.storage.connection import DatabaseError, database_of, kind
from service.storage.deletion import Erasure
from service.storage.log_reader import log_reader
from service.storage.session import Session

_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def _ago(ctx: click.Context, parameter: click.Parameter, value: str) -> datetime:
    """A time before now, such as 90d."""
    found = re.fullmatch(r"([0-9]{1,9})([hdw])", value)
    if not found or not int(found[1]):
        raise click.BadParameter(f"{value!r} is not a number of hours, days or weeks, as 12h, 90d or 4w.")
    try:
        return datetime.now(UTC) - timedelta(**{_UNITS[found[2]]: int(found[1])})
    except OverflowError:
        raise click.BadParameter(f"{value!r} is before the calendar begins.") from None


@click.command()
@click.option("--format", "form", required=True, type=click.Choice(["ndjson", "csv", "parquet"]))
@click.option("-o", "--output", required=True, help="The file to write; - is standard output, not for parquet.")
@click.option(
    "--labelled",
    type=click.Choice(["true", "false"]),
    is_flag=False,
    flag_value="true",
    help="Only rows with a true label; `--labelled false`, only rows without.",
)
@selection_options
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@click.option("--escape-formulas", is_flag=True, help="In CSV, an apostrophe before text that begins with = + - @.")
def export(
    form: str,
    output: str,
    since: int | None,
    until: int | None,
    labelled: str | None,
    model_version: str | None,
    force: bool,
    escape_formulas: bool,
) -> None:
    """Write the log to a file: a row a prediction, a column for each column of the observations."""
    if output == "-" and form == "parquet":
        raise click.UsageError("Parquet is not written to standard output; name a file.")
    if escape_formulas and form != "csv":
        raise click.UsageError("--escape-formulas is for --format csv.")
    wanted = PredictionFilter(
        Selection(model_version, since, until), labelled={"true": True, "false": False}.get(labelled or "")
    )
    with _failures(), _output(output, force) as file, _progress() as advance, _reading() as database:
        rows = export_table(log_reader(database), wanted, partial(_writer(form, escape_formulas), file), advance)
    click.echo(f"{rows} rows were written to {output}.", err=True)


@click.command()
@click.option("--older-than", "before", required=True, callback=_ago, metavar="AGE", help="As 12h, 90d or 4w.")
@click.option("--dry-run", is_flag=True, help="Say how many there are, and erase none.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def purge(before: datetime, dry_run: bool, yes: bool) -> None:
    """Erase the predictions that are older, and their labels, for good. The service may go on meanwhile."""
    with _failures():
        session = Session(database_of(Settings.from_env()))
        erasure = Erasure(session, log_reader(session.database))
        count = erasure.count_before(before)
        made = f"{count} predictions made before {before:%Y-%m-%d %H:%M:%S} UTC"
        if dry_run or not count:
            click.echo(f"There are {made}; none was erased.")
            return
        if not yes:
            click.confirm(f"Erase {made}, and their labels, for good?", abort=True)
        erased = 0
        with _progress() as advance:
            for some in erasure.erase_before(before):
                erased += some
                advance(erased / count)
    click.echo(f"{erased} predictions and their labels were erased.")


def _writer(form: str, escape_formulas: bool) -> Writer:
    if form == "parquet":
        from service.export.parquet import write_parquet  # noqa: PLC0415 - pandas takes a second, for this format only

        return write_parquet
    return write_ndjson if form == "ndjson" else partial(write_csv, escape_formulas=escape_formulas)


@contextmanager
def _failures() -> Iterator[None]:
    """Whatever is in the way, said in one line on standard error."""
    try:
        yield
    except FileExistsError as error:
        raise click.ClickException(f"{error}; give another name, or --force to replace it.") from error
    except Unavailable as error:
        raise click.ClickException(f"The log cannot be had now: {error.__cause__ or error}") from error
    except (SettingsError, DatabaseError, PeeweeException, OSError) as error:
        raise click.ClickException(str(error)) from error


@contextmanager
def _output(name: str, force: bool) -> Iterator[IO[bytes]]:
    if name == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with new_file(Path(name), replace=force) as file:
        yield file


@contextmanager
def _progress() -> Iterator[Callable[[float], None]]:
    """A bar on standard error, where that is a terminal; what it yields takes the share that is done."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=1.0)
        yield lambda share: progress.update(task, completed=share)


@contextmanager
def _reading() -> Iterator[Database]:
    """The database with its connection open. A SQLite file that is not there is not made."""
    database = database_of(Settings.from_env())
    if kind(database) == "sqlite" and not Path(database.database).is_file():
        raise DatabaseError(f"There is no file {database.database}, which DATABASE_URL names.")
    with database.connection_context():
        yield database
