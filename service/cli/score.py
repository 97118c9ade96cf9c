"""The command for many rows: `python -m service score`."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from serialize.training.cluster import require_dask
from service.cli.bulk_options import (
    FORMATS,
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
from service.process import keep_freed_memory, take_lowest_priority
from service.settings import Settings, set_native_defaults

if TYPE_CHECKING:
    from serialize.files.places import InputFile
    from service.bulk.runs.request import Request
    from service.bulk.scoring.part_scorer import Counts


@click.command()
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="FILE|FOLDER/",
    help="The file to write, - for standard output, or a folder, in which a run that was stopped goes on.",
)
@click.option("--id", "id_column", metavar="COLUMN", help="The column with the ids, which the answers get.")
@click.option("--keep", "kept", multiple=True, metavar="COLUMN", help="Copy this column; may be repeated.")
@rejects_option
@click.option("--log", "is_logged", is_flag=True, help="Append each row to the log of DATABASE_URL, under its id.")
@click.option("--model", "chosen", metavar="VERSION|DIR|URL", help="The model.  [default: the one that is served]")
@click.option("--row-number", "row_numbers", is_flag=True, help="Give each answer the number of its row, from 0 on.")
@reading_options
@click.option(
    "--format",
    "output_format",
    type=FORMATS,
    help="What to write to standard output (ndjson, if not given) or to a folder (parquet).",
)
@click.option("--workers", type=click.IntRange(min=1), help="Score in this number of processes.  [default: one]")
@click.option("--scheduler", metavar="ADDRESS", help="Score on a Dask cluster, such as tcp://host:8786.")
@ending_options
@click.pass_context
def score(context: click.Context, /, as_json: bool, strict: bool, **options: Any) -> None:
    """Score the rows of files: Parquet, CSV, NDJSON or Arrow, by the endings of their names.

    INPUT is a file, a folder, a pattern with * or ?, or - for standard input. The answers are those of POST /predict.
    A row with a fault is left out of the output."""
    require_pyarrow()
    set_native_defaults()
    keep_freed_memory()
    if options["is_logged"]:
        take_lowest_priority()  # a service on this machine goes first
    with failures():
        if options["scheduler"] is not None:
            require_dask()
        counts, seconds = _request(**options).carry_out(Settings.from_env(), rows_progress())
    _show(counts, seconds, as_json=as_json)
    if strict and counts.rejected:
        context.exit(1)


def _request(
    inputs: tuple[str, ...],
    output: str,
    id_column: str | None,
    kept: tuple[str, ...],
    rejects: str | None,
    is_logged: bool,
    chosen: str | None,
    row_numbers: bool,
    sep: str,
    encoding: str,
    input_format: Any,
    output_format: Any,
    force: bool,
    workers: int | None,
    scheduler: str | None,
) -> "Request":
    from serialize.files.formats import TYPED, FileFormat  # noqa: PLC0415
    from serialize.files.places import STANDARD, input_files  # noqa: PLC0415
    from service.bulk.files.folder import Folder, is_folder  # noqa: PLC0415 - it needs pyarrow
    from service.bulk.files.rows import CsvOptions  # noqa: PLC0415
    from service.bulk.runs.request import Request, apart  # noqa: PLC0415
    from service.bulk.scoring.layout import Layout  # noqa: PLC0415

    if scheduler is not None and not scheduler.strip():
        raise click.UsageError("--scheduler needs an address, such as tcp://host:8786.")
    if workers is not None and scheduler is not None:
        raise click.UsageError("Give --workers or --scheduler.")
    folder = Folder.at(output) if is_folder(output) else None
    if folder is not None and rejects and folder.contains(rejects):
        raise click.UsageError("--rejects must be outside the folder of the answers.")
    if folder is not None and STANDARD in inputs:
        raise click.UsageError("Standard input can be read only once, so its answers go to one file, not to a folder.")
    files = input_files(inputs, FileFormat(input_format) if input_format else None)
    if scheduler is not None and any(file.name == STANDARD and file.format.name in TYPED for file in files):
        raise click.UsageError(
            "The workers of a cluster cannot read Parquet or Arrow from standard input; name a file."
        )
    _require_different(files, output, rejects)
    if folder is not None:
        files = apart(folder, files, inputs)
    if is_logged and id_column is None and any(file.format.name != "ndjson" for file in files):
        raise click.UsageError("--log needs ids; name their column with --id.")
    return Request(
        files=files,
        output=output,
        rejects=rejects,
        layout=Layout(id_column, kept),
        row_numbers=row_numbers,
        options=CsvOptions(sep, encoding),
        model=chosen,
        output_format=FileFormat(output_format) if output_format else None,
        is_logged=is_logged,
        replace=force,
        workers=workers or 1,
        scheduler=scheduler,
    )


def _require_different(files: Sequence["InputFile"], output: str, rejects: str | None) -> None:
    """Raises click.UsageError if a file that is written is also one that is read, or the other one."""
    from serialize.files.places import resolved  # noqa: PLC0415

    require_not_read(files, "--output", output)
    require_not_read(files, "--rejects", rejects)
    if rejects is not None and resolved(rejects) == resolved(output):
        raise click.UsageError("--rejects is a file of its own.")


def _show(counts: "Counts", seconds: float, *, as_json: bool) -> None:
    if as_json:
        found = {"scored": counts.scored, "replayed": counts.replayed, "rejected": counts.rejected}
        rest = {"earlier": counts.earlier, "seconds": round(seconds, 3), "faults": listed_faults(counts.faults)}
        click.echo(json.dumps({**found, **rest}), err=True)
        return
    earlier = f", {counts.earlier:,} of them by an earlier start" if counts.earlier else ""
    click.echo(
        f"{counts.scored:,} rows were scored and {counts.rejected:,} rejected{earlier}, in {seconds:.2f} s "
        f"({(counts.rows - counts.earlier) / max(seconds, 1e-3):,.0f} rows/s)."
        + (f" {counts.replayed:,} were in the log already." if counts.replayed else ""),
        err=True,
    )
    show_faults(counts.faults)
