"""The command line of serialization: `python -m serialize train|recipe|adopt|show|sign|verify|push|pull`."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from joblib import parallel_config
from rich.console import Console

from serialize.artifact import load
from serialize.cli import remote, summary, trust_options
from serialize.cli.adopt import adopt_command
from serialize.cli.made import console, print_made, print_metrics
from serialize.cli.options import csv_options, declarations, declared, separator, training_data
from serialize.content import read_content, sign
from serialize.errors import ArtifactError, DumpError
from serialize.files.place_error import PlaceError
from serialize.files.places import STANDARD
from serialize.folder import MANIFEST, read_manifest
from serialize.recipes import RECIPES, BuiltIn
from serialize.recipes.csv import from_csv
from serialize.recipes.csv_file import CsvFile
from serialize.recipes.data_file import read_texts
from serialize.recipes.data_files import data_files
from serialize.recipes.recipe import Recipe, train
from serialize.training.cluster import fitting_on
from serialize.trust import Trust, signing_keys

_UNLIMITED = 1_000_000


def _cores(ctx: click.Context, parameter: click.Parameter, value: int) -> int:
    if value < 1 and value != -1:
        raise click.BadParameter(f"{value} cores cannot train; give 1 or more, or -1 for all.")
    return value


class _Cli(click.Group):
    """Prints a refusal as one line on standard error and exits with a status other than 0."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            error.ctx = None  # otherwise click prints the usage too
            raise
        except (DumpError, ArtifactError, PlaceError) as error:
            raise click.ClickException(" ".join(str(error).split())) from error


@click.group(cls=_Cli)
def main() -> None:
    """Make, show, sign, verify, push and pull the artifact that the service serves."""


main.add_command(remote.push)
main.add_command(remote.pull)


@main.command("train")
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True)
@click.option("--target", required=True, help="The column to predict.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The folder to write.")
@click.option("--name", help="The model's name.  [default: the name of the file without its ending, or of the folder]")
@csv_options
@click.option("--drop", multiple=True, help="A column to leave out; may be repeated.")
@click.option("--drop-null-target", is_flag=True, help="Leave out the rows without a target.")
@click.option("--model", type=click.Choice(["logistic", "forest", "boosting"]), default="logistic", show_default=True)
@click.option(
    "--task", type=click.Choice(["classification", "regression"]), help="The task.  [default: inferred from the target]"
)
@click.option("--threshold", type=float, help="Predict the positive class from this probability on.  [default: 0.5]")
@click.option("--positive", help="The positive class of a target with two labels.  [default: the second]")
@click.option("--dates", multiple=True, metavar="COLUMN", help="Read this column as ISO 8601 dates; may be repeated.")
@declarations
@training_data
@click.option(
    "--n-jobs",
    type=int,
    default=1,
    show_default=True,
    callback=_cores,
    help="The number of processor cores to train on; -1 for all. Boosting always uses all.",
)
@click.option("--scheduler", metavar="ADDRESS", help="Train on a Dask cluster, such as tcp://host:8786.")
def _train(
    inputs: tuple[str, ...],
    target: str,
    output: Path,
    sep: str,
    encoding: str,
    positive: str | None,
    n_jobs: int,
    scheduler: str | None,
    training_data: bool,
    **options: Any,
) -> None:
    """Train a model on the rows of files and write its artifact.

    INPUT is a file, a folder or a pattern with * or ?, also in an object store: s3://, gs://, az:// or https:// (one
    file). A file is CSV, or by its ending .parquet, .ndjson, .jsonl, .arrow or .feather; CSV and NDJSON may have .gz at
    the end. Several files must have the same columns; their rows are one table, in the order of the files."""
    if STANDARD in inputs:
        raise click.UsageError("Standard input cannot be trained on; give a file.")
    of_columns = declared(options)
    # Not a parameter of the estimator: it would be pickled, and the service would use the cores for every request. A
    # forest adds up its trees in another order on several cores, so the last digit of its metrics may differ.
    places = parallel_config("threading", n_jobs=n_jobs) if scheduler is None else fitting_on(scheduler)
    with places, data_files(inputs, sep, encoding) as rows:
        _make(from_csv(rows, target, positive_class=positive, declared=of_columns, **options), output, training_data)


@main.command("recipe")
@click.argument("name", type=click.Choice(list(RECIPES)))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The folder to write.")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Learn from this file: CSV, or by its ending .parquet or .ndjson."
)
@click.option("--sep", default=",", show_default=True, callback=separator, help="The separator of a CSV file.")
@click.option("--encoding", default="utf-8", show_default=True, help="The encoding of a CSV file, such as cp1252.")
@click.option("--text", metavar="COLUMN", help="The column of the file with the texts.  [default: text]")
@click.option("--title", metavar="COLUMN", help="Its column with the titles, if it has any.  [default: title]")
@click.option("--section", metavar="COLUMN", help="Its column with the sections.  [default: section]")
@click.option("--author", metavar="COLUMN", help="Its column with the authors.  [default: author]")
@training_data
def _recipe(
    name: str,
    output: Path,
    data: Path | None,
    sep: str,
    encoding: str,
    training_data: bool,
    **columns: str | None,
) -> None:
    """Train one of the built-in models.

    sections (title, text, section) and pairs (author, text) can learn from a file of your own. Without one they learn
    from the documentation of Python's standard library."""
    built_in = RECIPES[name]
    given = {option: column for option, column in columns.items() if column is not None}
    if data is None:
        if given:
            raise click.UsageError(f"--{next(iter(given))} is a column of a file; give the file with --data.")
        _make(built_in(), output, training_data)
        return
    _require_file_columns(name, built_in, given)
    file = CsvFile(data, sep, encoding)
    rows = read_texts(file)
    file.require(list(rows.columns), list(given.values()))
    _make(built_in.build(rows, **given), output, training_data)


def _require_file_columns(name: str, built_in: BuiltIn, given: Mapping[str, str]) -> None:
    """Raises click.UsageError unless the recipe learns from a file, and these options name different columns of it."""
    if not built_in.file_columns:
        others = " and ".join(other for other in RECIPES if RECIPES[other].file_columns)
        raise click.UsageError(f"{name} has data of its own; --data is for {others}, and train takes any CSV file.")
    takes = {option: given.get(option, option) for option in built_in.file_columns}
    options = ", ".join(f"--{option}" for option in takes)
    for option in given:
        if option not in takes:
            raise click.UsageError(f"{name} has no --{option}; its columns are {options}.")
    if len(set(takes.values())) < len(takes):
        raise click.UsageError(f"{options} must name different columns; they name {', '.join(takes.values())}.")


main.add_command(adopt_command)


@main.command("show")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--columns", "complete", is_flag=True, help="Print all columns, and their values in full.")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as JSON instead.")
def _show(directory: Path, complete: bool, as_json: bool) -> None:
    """Print the manifest of an artifact in at most 60 lines, without loading the model."""
    content = read_content(directory)
    if as_json:
        click.echo(read_manifest(directory), nl=False)
        return
    manifest = content.manifest
    click.echo(f"{summary.shortened(manifest.name, 100)}, version {content.version}")
    for line in summary.describe(manifest.task):
        click.echo(line)
    in_full = complete and not console.is_terminal  # a program that reads the output finds each column on one line
    (Console(width=_UNLIMITED) if in_full else console).print(summary.columns_table(manifest, complete=complete))
    if note := manifest.importances.get("note"):
        click.echo(f"importance: {note}")
    print_metrics(manifest)
    click.echo(summary.compiled(manifest))
    click.echo("libraries: " + summary.listed(f"{name} {version}" for name, version in manifest.libraries.items()))
    click.echo(f"signed: {'yes' if content.signature else 'no'}")
    for name, digest in {MANIFEST: content.digest, **manifest.files}.items():
        click.echo(f"{name}: sha256 {digest}")


@main.command("sign")
@click.argument("directory", type=click.Path(path_type=Path))
@trust_options.key
def _sign(directory: Path, key: str | None) -> None:
    """Sign an artifact that you trust with MODEL_SIGNING_KEY."""
    if key is None:
        raise click.UsageError("Set MODEL_SIGNING_KEY to a key, such as the output of openssl rand -hex 32.")
    content = sign(directory, signing_keys(key)[0])
    click.echo(f"Signed {directory}: {content.manifest.name}, manifest.json sha256 {content.digest}.")


@main.command("verify")
@click.argument("directory", type=click.Path(path_type=Path))
@trust_options.digest
@trust_options.signed
@trust_options.key
def _verify(directory: Path, digest: str | None, signed: bool, key: str | None) -> None:
    """Check the digests, the signature and the golden rows of an artifact, as the service does at start-up."""
    artifact = load(directory, Trust(digest or None, signing_keys(key or ""), signed))
    for name, version, installed in artifact.other_versions:
        click.echo(f"Note: the model was dumped with {name} {version}; {installed} is installed here.", err=True)
    artifact.verify_all()
    rows = len(artifact.manifest.golden.outputs)
    click.echo(
        f"{artifact.manifest.name} {artifact.version}: the digests match, and all {rows} golden rows give the recorded "
        "outputs."
    )


def _make(recipe: Recipe, output: Path, training_data: bool) -> None:
    for note in recipe.notes:
        click.echo(f"Note: {note}", err=True)
    print_made(train(recipe, output, include_training_data=training_data), recipe.y, output)


if __name__ == "__main__":
    sys.exit(main())
