"""The command `adopt`: asks whether the user trusts the original app's pickles, and makes an artifact of them."""

import sys
from os.path import isfile
from pathlib import Path
from typing import Any

import click

from serialize.cli.made import print_made
from serialize.cli.options import csv_options, declarations, declared
from serialize.display.text import printable
from serialize.errors import DumpError
from serialize.folder import refuse_foreign_files
from serialize.original.adoption import adopt, rows_made_up, rows_of_file, unpickle
from serialize.original.files import OriginalFiles, read_files
from serialize.recipes.csv_file import CsvFile

_WITHOUT_DATA = """Without --data the model is weaker:
  The signature has only names and dtypes: a column of objects takes texts only, and nothing has bounds.
  A column may be null, or hold an unseen category, if the pipeline answers a made-up row with it.
  The answers are checked on made-up rows only.
  There are no metrics and no importances, and /drift has nothing to compare with."""


@click.command("adopt")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The folder to write.")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Learn the columns from this file: CSV, or by its ending .parquet or .ndjson.",
)
@click.option("--target", help="The column of the file with what came true: the metrics are those of its rows.")
@click.option("--trust", is_flag=True, help="Unpickle the files without a question.")
@click.option("--name", help="The model's name.  [default: the name of the folder]")
@click.option("--threshold", type=float, help="Predict the positive class from this probability on.")
@csv_options
@declarations
def adopt_command(
    directory: Path,
    output: Path,
    data: Path | None,
    target: str | None,
    trust: bool,
    name: str | None,
    threshold: float | None,
    sep: str,
    encoding: str,
    strings: tuple[str, ...],
    **options: Any,
) -> None:
    """Make an artifact of the original app's files: columns.json, dtypes.pickle and pipeline.pickle in DIRECTORY.

    Unpickling runs code of the files, so the command lists them and asks first. With --data it learns from rows, best
    the training rows, what a valid observation is; without, it only has names and dtypes."""
    of_columns = declared(options)
    if data is None:
        _refuse_without_data(target=target, string=strings, **of_columns)
    elif not isfile(data):  # Path.is_file raises for a file in a folder without access
        raise DumpError(f"{data} is not a file; give --data the file with the rows.")
    files = read_files(directory)
    refuse_foreign_files(output.resolve())
    _ask(files, trust)
    original = unpickle(files, threshold)
    if data is None:
        click.echo(_WITHOUT_DATA, err=True)
        rows = rows_made_up(original)
    else:
        rows = rows_of_file(original, CsvFile(data, sep, encoding), strings, target, of_columns)
        for note in rows.notes:
            click.echo(f"Note: {printable(note)}", err=True)
    adopted = adopt(original, rows, output, name=name or directory.resolve().name, threshold=threshold)
    if target is not None:
        click.echo(f"The metrics are those of {data}. If the pipeline was fitted on it, they are too optimistic.")
    click.echo(_compared(adopted.compared))
    print_made(adopted.artifact, rows.y, output)


def _compared(count: int) -> str:
    if count == 1:
        return "1 observation gets the same answer as in the original app."
    return f"{count} observations get the same answers as in the original app."


def _refuse_without_data(**options: Any) -> None:
    for name, value in options.items():
        if value:
            raise click.UsageError(
                f"--{name.replace('_', '-')} is about the rows of a file; give the file with --data."
            )


def _ask(files: OriginalFiles, trust: bool) -> None:
    """Lists the pickles, and returns only if the user trusts them."""
    click.echo("Unpickling these files runs code that is in them:", err=True)
    for line in files.described:
        click.echo(f"  {line}", err=True)
    if trust:
        return
    if not _is_terminal():
        raise click.UsageError("There is no terminal to ask on; give --trust if you trust these files.")
    click.confirm("Do you trust them?", abort=True, err=True)


def _is_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()
