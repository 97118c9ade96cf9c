"""The command for many rows: `python -m service score`."""

import json
from contextlib import ExitStack
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from serialize.cli.options import separator
from service.cli.bulk_options import failures, require_pyarrow, rows_progress
from service.settings import Settings, set_native_defaults

if TYPE_CHECKING:
    from service.bulk.scoring.score_files import Counts

_FORMATS = click.Choice(["parquet", "csv", "ndjson", "arrow"])


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


@click.command()
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option("-o", "--output", required=True, metavar="FILE", help="The file to write; - is standard output.")
@click.option("--id", "id_column", metavar="COLUMN", help="The column with the ids, which the answers get.")
@click.option("--keep", "kept", multiple=True, metavar="COLUMN", help="Copy this column; may be repeated.")
@click.option("--rejects", metavar="FILE", help="Write the faults of rejected rows to this file, as NDJSON.")
@click.option("--model", "chosen", metavar="VERSION|DIR|URL", help="The model.  [default: the one that is served]")
@click.option("--row-number", "row_numbers", is_flag=True, help="Give each answer the number of its row, from 0 on.")
@click.option("--strict", is_flag=True, help="Exit with 1 if a row is rejected.")
@click.option("--sep", default=",", show_default=True, callback=_separator, help="The separator of CSV, or tab.")
@click.option(
    "--encoding", default="utf-8", show_default=True, callback=_encoding, help="The encoding of CSV, such as cp1252."
)
@click.option("--input-format", type=_FORMATS, help="What standard input holds.")
@click.option("--format", "output_format", type=_FORMATS, help="What to write to standard output.  [default: ndjson]")
@click.option("--force", is_flag=True, help="Overwrite files that exist.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.pass_context
def score(context: click.Context, /, as_json: bool, strict: bool, **options: Any) -> None:
    """Score the rows of files: Parquet, CSV, NDJSON or Arrow, by the endings of their names.

    INPUT is a file, a folder, a pattern with * or ?, or - for standard input. The answers are those of POST /predict.
    A row with a fault is left out of the output."""
    require_pyarrow()
    set_native_defaults()
    with failures():
        counts, seconds = _scored(**options)
    _show(counts, seconds, as_json=as_json)
    if strict and counts.rejected:
        context.exit(1)


def _scored(
    inputs: tuple[str, ...],
    output: str,
    id_column: str | None,
    kept: tuple[str, ...],
    rejects: str | None,
    chosen: str | None,
    row_numbers: bool,
    sep: str,
    encoding: str,
    input_format: Any,
    output_format: Any,
    force: bool,
) -> tuple["Counts", float]:
    """What became of the rows, and how many seconds that took after the model was loaded."""
    from service.bulk.files.formats import FileFormat  # noqa: PLC0415
    from service.bulk.files.output import Output, format_of_output, is_same_place, new_place  # noqa: PLC0415
    from service.bulk.files.places import input_files  # noqa: PLC0415
    from service.bulk.files.table_readers import CsvOptions  # noqa: PLC0415
    from service.bulk.scoring.layout import Layout  # noqa: PLC0415 - it needs pyarrow
    from service.bulk.scoring.score_files import FileScorer, score_files  # noqa: PLC0415
    from service.prediction.artifact_scorer import scorer_of  # noqa: PLC0415
    from service.registry.chosen import chosen_model  # noqa: PLC0415

    if rejects and (rejects.endswith(".gz") or is_same_place(rejects, output)):
        raise click.UsageError("--rejects is a file of its own, of plain NDJSON.")
    settings = Settings.from_env()
    files = input_files(inputs, FileFormat(input_format) if input_format else None)
    wanted = format_of_output(output, FileFormat(output_format) if output_format else None)
    artifact = chosen_model(settings, chosen)
    scorer = FileScorer(
        artifact.manifest.signature,
        scorer_of(artifact, compiled=settings.scorer == "compiled"),
        artifact.version,
        Layout(id_column, kept),
        row_numbers=row_numbers,
    )
    began = perf_counter()
    with ExitStack() as stack:
        rejected = stack.enter_context(new_place(rejects, replace=force)) if rejects else None
        opened = stack.enter_context(Output(output, wanted, replace=force))
        advance = stack.enter_context(rows_progress())
        counts = score_files(scorer, files, CsvOptions(sep, encoding), opened, rejected, advance)
    return counts, perf_counter() - began


def _show(counts: "Counts", seconds: float, *, as_json: bool) -> None:
    faults = [{"kind": kind, "pointer": place, "faults": n} for (kind, place), n in counts.faults.most_common()]
    if as_json:
        summary = {"scored": counts.scored, "rejected": counts.rejected, "seconds": round(seconds, 3), "faults": faults}
        click.echo(json.dumps(summary), err=True)
        return
    rows = counts.scored + counts.rejected
    click.echo(
        f"{counts.scored:,} rows were scored and {counts.rejected:,} rejected in {seconds:.2f} s "
        f"({rows / max(seconds, 1e-3):,.0f} rows/s).",
        err=True,
    )
    if faults:
        table = Table("fault", "place", "rows")
        for fault in faults:
            table.add_row(
                escape(str(fault["kind"])),
                escape(str(fault["pointer"]).encode("utf-8", "backslashreplace").decode()),
                f"{fault['faults']:,}",
            )
        Console(stderr=True).print(table)
