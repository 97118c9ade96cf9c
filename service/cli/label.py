"""The command for many labels: `python -m service label`."""

import json
from contextlib import ExitStack, closing
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click

from service.cli.bulk_options import (
    ending_options,
    failures,
    listed_faults,
    reading_options,
    rejects_option,
    require_not_read,
    require_pyarrow,
    rows_progress,
    show_faults,
)
from service.errors import Unavailable
from service.settings import Settings, set_native_defaults
from service.storage.connection import database_of
from service.storage.migrate import prepare, require_log
from service.storage.session import Session

if TYPE_CHECKING:
    from service.bulk.labels.label_files import LabelCounts


@click.command()
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option("--id", "id_column", default="id", show_default=True, metavar="COLUMN", help="The column with the ids.")
@click.option(
    "--true-class",
    "--true-value",
    "label_column",
    metavar="COLUMN",
    help="The column with the true classes or values.  [default: true_class, or true_value of a regression model]",
)
@rejects_option
@reading_options
@ending_options
@click.pass_context
def label(context: click.Context, /, as_json: bool, strict: bool, **options: Any) -> None:
    """Record the true labels in files: Parquet, CSV, NDJSON or Arrow, by the endings of their names.

    INPUT is a file, a folder, a pattern with * or ?, or - for standard input. The checks and corrections are those of
    POST /update. A run that was interrupted goes on when it is repeated. The service may run meanwhile."""
    require_pyarrow()
    set_native_defaults()
    with failures():
        try:
            counts, seconds = _labelled(**options)
        except Unavailable as error:
            why = error.__cause__ or error
            raise click.ClickException(f"The log is not available now: {why}. Repeat the command to go on.") from error
    _show(counts, seconds, as_json=as_json)
    if strict and counts.rejected:
        context.exit(1)


def _labelled(
    inputs: tuple[str, ...],
    id_column: str,
    label_column: str | None,
    rejects: str | None,
    sep: str,
    encoding: str,
    input_format: Any,
    force: bool,
) -> tuple["LabelCounts", float]:
    """What became of the rows, and how many seconds that took after the model was read."""
    from serialize.files.formats import FileFormat  # noqa: PLC0415
    from serialize.files.places import input_files, spooled  # noqa: PLC0415
    from service.bulk.files.output import new_place  # noqa: PLC0415
    from service.bulk.files.rows import CsvOptions  # noqa: PLC0415
    from service.bulk.labels.input_digest import input_digest  # noqa: PLC0415
    from service.bulk.labels.label_files import label_files  # noqa: PLC0415
    from service.bulk.labels.label_reader import LabelReader  # noqa: PLC0415 - it needs pyarrow
    from service.registry.chosen import served_manifest  # noqa: PLC0415
    from service.storage.bulk.label_files import LabelFileLog  # noqa: PLC0415

    settings = Settings.from_env()
    files = input_files(inputs, FileFormat(input_format) if input_format else None)
    require_not_read(files, "--rejects", rejects)
    database = require_log(database_of(settings))
    prepare(database)
    task = served_manifest(settings).task
    reader = LabelReader(task, id_column, label_column)
    began = perf_counter()
    digest = input_digest(files, reader.columns, sep, encoding, task.kind, task.classes)
    with closing(Session(database)) as session:
        log = LabelFileLog(session, digest, regression=task.kind == "regression")
        with ExitStack() as stack:
            files = [stack.enter_context(spooled(file)) for file in files]
            rejected = stack.enter_context(new_place(rejects, replace=force)) if rejects else None
            advance = stack.enter_context(rows_progress())
            counts = label_files(reader, log, files, CsvOptions(sep, encoding), rejected, advance)
        log.finish()  # after the rejects have their name: if the process is killed between, the next run writes them
    return counts, perf_counter() - began


def _show(counts: "LabelCounts", seconds: float, *, as_json: bool) -> None:
    found, speed = counts.recorded, counts.rows / max(seconds, 1e-3)
    labelled, corrected, unchanged = found["labelled"], found["corrected"], found["unchanged"]
    if as_json:
        summary = {
            "labelled": labelled,
            "corrected": corrected,
            "unchanged": unchanged,
            "done_before": found["done before"],
            "rejected": counts.rejected,
            "seconds": round(seconds, 3),
            "rows_per_second": round(speed),
            "faults": listed_faults(counts.faults),
        }
        click.echo(json.dumps(summary), err=True)
        return
    if found["done before"]:
        click.echo(f"An earlier run had recorded {found['done before']:,} rows.", err=True)
    click.echo(
        f"{labelled:,} rows were labelled, {corrected:,} corrected, {unchanged:,} unchanged and {counts.rejected:,} "
        f"rejected, in {seconds:.2f} s ({speed:,.0f} rows/s).",
        err=True,
    )
    show_faults(counts.faults)
