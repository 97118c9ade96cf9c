"""The commands for the log: `python -m service export|purge`."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import IO

import click
from peewee import PeeweeException
from rich.console import Console
from rich.progress import Progress

from serialize.files.place_error import PlaceError
from service.cli.bulk_options import require_pyarrow
from service.cli.options import selection_options
from service.errors import Unavailable
from service.export.atomic_file import new_file
from service.export.formats import write_csv, write_ndjson
from service.export.log_table import export_table
from service.prediction.filter import PredictionFilter, Selection
from service.settings import Settings, SettingsError
from service.storage.connection import DatabaseError, database_of
from service.storage.deletion import Erasure
from service.storage.feeds.error import FeedError
from service.storage.migrate import require_log
from service.storage.reading.log_reader import LogReader, log_reader
from service.storage.session import Session

_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def _ago(ctx: click.Context, parameter: click.Parameter, value: str | None) -> datetime | None:
    """The time before now by an age such as 90d."""
    if value is None:
        return None
    found = re.fullmatch(r"([0-9]{1,9})([hdw])", value)
    if not found or not int(found[1]):
        raise click.BadParameter(f"{value!r} is not a number of hours, days or weeks, such as 12h, 90d or 4w.")
    try:
        return datetime.now(UTC) - timedelta(**{_UNITS[found[2]]: int(found[1])})
    except OverflowError:
        raise click.BadParameter(f"{value!r} is too long ago; the calendar begins in the year 1.") from None


@click.command()
@click.option(
    "--format", "form", type=click.Choice(["ndjson", "csv", "parquet"]), help="The format of the output file."
)
@click.option("-o", "--output", help="The output file. Use - for standard output.")
@click.option(
    "--labelled",
    type=click.Choice(["true", "false"]),
    is_flag=False,
    flag_value="true",
    help="Only rows with a true label, or, with `--labelled false`, without one.",
)
@selection_options
@click.option("--force", is_flag=True, help="Replace an existing file.")
@click.option("--escape-formulas", is_flag=True, help="In CSV, put an apostrophe before text that begins with = + - @.")
@click.option("--to", "url", metavar="URL", help="Where the feeds go: s3://, gs://, az://, file:// or a folder.")
@click.option("--since-last", is_flag=True, help="With --to: write what is new since the last export to this URL.")
@click.option("--delete-exported", is_flag=True, help="With --to: then delete exported predictions of this age.")
@click.option("--older-than", "before", callback=_ago, metavar="AGE", help="The age to delete: 12h, 90d or 4w.")
@click.pass_context
def export(
    context: click.Context,
    /,
    form: str | None,
    output: str | None,
    since: int | None,
    until: int | None,
    labelled: str | None,
    model_version: str | None,
    force: bool,
    escape_formulas: bool,
    url: str | None,
    since_last: bool,
    delete_exported: bool,
    before: datetime | None,
) -> None:
    """Write the log to a file: one row per prediction, one column per column of the observations.

    With --to and --since-last, write what is new to two feeds of Parquet files, predictions and labels. A scheduler can
    repeat this: each row goes into one file."""
    _require_one_way(context)
    if url is not None:
        from service.cli.feeds import export_feeds  # noqa: PLC0415

        with failures():
            click.echo(export_feeds(url, before))
        return
    if form is None or output is None:
        raise click.UsageError("Give --format and -o for a file, or --to and --since-last for the feeds.")
    if form == "parquet":
        require_pyarrow()
    if escape_formulas and form != "csv":
        raise click.UsageError("--escape-formulas is for --format csv.")
    wanted = PredictionFilter(
        Selection(model_version, since, until), labelled={"true": True, "false": False}.get(labelled or "")
    )
    with failures(), _output(output, force) as file, progress() as advance:
        database = require_log(database_of(Settings.from_env()))
        with database.connection_context():
            rows = _write(form, escape_formulas, log_reader(database), wanted, file, advance)
    click.echo(f"{rows} rows were written to {output}.", err=True)


@click.command()
@click.option("--older-than", "before", required=True, callback=_ago, metavar="AGE", help="Such as 12h, 90d or 4w.")
@click.option("--dry-run", is_flag=True, help="Print their number, and erase nothing.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def purge(before: datetime, dry_run: bool, yes: bool) -> None:
    """Permanently erase predictions older than an age, and their labels. The service may run meanwhile."""
    with failures():
        session = Session(database_of(Settings.from_env()))
        erasure = Erasure(session, log_reader(session.database))
        count = erasure.count_before(before)
        chosen = f"{count} predictions made before {before:%Y-%m-%d %H:%M:%S} UTC"
        if dry_run or not count:
            click.echo(f"There are {chosen}; nothing was erased.")
            return
        if not yes:
            click.confirm(f"Permanently erase {chosen}, and their labels?", abort=True)
        erased = 0
        with progress() as advance:
            for number in erasure.erase_before(before):
                erased += number
                advance(erased / count)
    click.echo(f"{erased} predictions and their labels were erased.")


def _require_one_way(context: click.Context) -> None:
    """Raises click.UsageError unless the options are those of a file or those of the feeds, and complete."""
    given = {name for name, value in context.params.items() if value is not None and value is not False}
    for_feeds = given & {"url", "since_last", "delete_exported", "before"}
    if for_feeds and given - for_feeds:
        raise click.UsageError("--to writes the feeds, which take no option of a file such as --format, -o or --since.")
    if for_feeds and not {"url", "since_last"} <= for_feeds:
        raise click.UsageError("The feeds need both --to URL and --since-last.")
    if len(for_feeds & {"delete_exported", "before"}) == 1:
        raise click.UsageError("--delete-exported and --older-than go together.")


def _write(
    form: str,
    escape_formulas: bool,
    reader: LogReader,
    wanted: PredictionFilter,
    file: IO[bytes],
    advance: Callable[[float], object],
) -> int:
    if form == "parquet":
        from service.export.parquet import export_parquet  # noqa: PLC0415 - it needs pyarrow

        return export_parquet(reader, wanted, file, advance)
    write = write_ndjson if form == "ndjson" else partial(write_csv, escape_formulas=escape_formulas)
    return export_table(reader, wanted, partial(write, file), advance)


@contextmanager
def failures() -> Iterator[None]:
    """Turns expected errors into one line on standard error."""
    try:
        yield
    except FileExistsError as error:
        raise click.ClickException(f"{error}; give another name, or use --force to replace it.") from error
    except Unavailable as error:
        raise click.ClickException(f"The log is not available now: {error.__cause__ or error}") from error
    except (SettingsError, DatabaseError, PlaceError, FeedError, PeeweeException, OSError) as error:
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
def progress() -> Iterator[Callable[[float], None]]:
    """A progress bar, if standard error is a terminal. It yields a function that takes the completed share."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda share: bar.update(task, completed=share)
