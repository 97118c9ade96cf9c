"""The command line of serialization: `python -m serialize train|recipe|show|sign|verify`."""

import sys
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from serialize.artifact import load
from serialize.content import read_content, sign
from serialize.errors import ArtifactError, DumpError
from serialize.folder import COMPILED, MANIFEST
from serialize.manifest import Manifest
from serialize.recipes import RECIPES
from serialize.recipes.csv import from_csv, remarks
from serialize.recipes.recipe import Recipe, train
from serialize.trust import Trust

_console = Console()


def _from_environment(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Refuses a secret on the command line, because other users and the shell's history can read it there."""
    if parameter.name and ctx.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE:
        raise click.UsageError("Put the key into the environment as MODEL_SIGNING_KEY, not on the command line.")
    return value or None


_key = click.option("--key", envvar="MODEL_SIGNING_KEY", hidden=True, callback=_from_environment)


class _Cli(click.Group):
    """Prints a refusal as one line on standard error and exits with a status other than 0."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            error.ctx = None  # otherwise click prints the usage too
            raise
        except (DumpError, ArtifactError) as error:
            raise click.ClickException(" ".join(str(error).split())) from error


@click.group(cls=_Cli)
def main() -> None:
    """Make, show, sign and verify the artifact that the service serves."""


@main.command("train")
@click.argument("csv", type=click.Path(path_type=Path))
@click.option("--target", required=True, help="The column to predict.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The folder to write.")
@click.option("--name", help="The model's name.  [default: the file name without its ending]")
@click.option("--drop", multiple=True, help="A column to leave out; may be repeated.")
@click.option("--model", type=click.Choice(["logistic", "forest", "boosting"]), default="logistic", show_default=True)
@click.option(
    "--task", type=click.Choice(["classification", "regression"]), help="The task.  [default: inferred from the target]"
)
@click.option("--threshold", type=float, help="Predict the positive class from this probability on.  [default: 0.5]")
@click.option("--positive", help="The positive class of a target with two labels.  [default: the second]")
@click.option("--bounds", multiple=True, metavar="COLUMN=LOW:HIGH", help="Inclusive limits; either may be left out.")
@click.option(
    "--categories", multiple=True, metavar="COLUMN", help="Accept only the values of the training rows in this column."
)
@click.option("--text", multiple=True, metavar="COLUMN", help="Accept any string in this column.")
@click.option(
    "--nullable", multiple=True, metavar="COLUMN", help="A column that may be null although no training row has a null."
)
def _train(csv: Path, target: str, output: Path, positive: str | None, bounds: tuple[str, ...], **options: Any) -> None:
    """Train a model on a CSV file and write its artifact."""
    declared = {name: options.pop(name) for name in ("categories", "text", "nullable")}
    declared["bounds"] = dict(_bound(text) for text in bounds)
    recipe = from_csv(csv, target, positive_class=positive, declared=declared, **options)
    for remark in remarks(recipe.X):
        click.echo(f"Note: {remark}", err=True)
    _make(recipe, output)


@main.command("recipe")
@click.argument("name", type=click.Choice(list(RECIPES)))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The folder to write.")
def _recipe(name: str, output: Path) -> None:
    """Train one of the built-in models."""
    _make(RECIPES[name](), output)


@main.command("show")
@click.argument("directory", type=click.Path(path_type=Path))
def _show(directory: Path) -> None:
    """Print the manifest of an artifact, without loading the model."""
    content = read_content(directory)
    manifest, task = content.manifest, content.manifest.task
    click.echo(f"{manifest.name}, version {content.version}: {task.kind}")
    if task.classes:
        click.echo(f"classes: {', '.join(map(str, task.classes))}")
    if task.kind == "binary":
        click.echo(f"positive class: {task.positive_class}, threshold: {task.threshold}")
    table = Table("column", "kind", "dtype", "expected", "importance", title="An observation")
    shares = manifest.importances["columns"]
    for column in manifest.signature:
        share = f"{shares[column.name]['mean']:.4f}" if column.name in shares else "-"
        table.add_row(escape(column.name), column.kind, escape(column.dtype), escape(column.expected), share)
    _console.print(table)
    if note := manifest.importances.get("note"):
        click.echo(f"importance: {note}")
    _print_metrics(manifest)
    click.echo(f"compiled: {'yes' if COMPILED in content.files else f'no. {manifest.not_compiled}'}")
    click.echo("libraries: " + ", ".join(f"{name} {version}" for name, version in manifest.libraries.items()))
    click.echo(f"signed: {'yes' if content.has_signature else 'no'}")
    for name, digest in {MANIFEST: content.digest, **manifest.files}.items():
        click.echo(f"{name}: sha256 {digest}")


@main.command("sign")
@click.argument("directory", type=click.Path(path_type=Path))
@_key
def _sign(directory: Path, key: str | None) -> None:
    """Sign an artifact that you trust with MODEL_SIGNING_KEY."""
    if key is None:
        raise click.UsageError("Set MODEL_SIGNING_KEY to a key, such as the output of openssl rand -hex 32.")
    content = sign(directory, key)
    click.echo(f"Signed {directory}: {content.manifest.name}, manifest.json sha256 {content.digest}.")


@main.command("verify")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--digest", envvar="MODEL_DIGEST", help="The sha256 that manifest.json must have.  [env: MODEL_DIGEST]")
@click.option("--signed", envvar="REQUIRE_SIGNED", is_flag=True, help="Require a signature.  [env: REQUIRE_SIGNED]")
@_key
def _verify(directory: Path, digest: str | None, signed: bool, key: str | None) -> None:
    """Check the digests, the signature and the golden rows of an artifact, as the service does at start-up."""
    artifact = load(directory, Trust(digest or None, key, signed))
    for name, version, installed in artifact.other_versions:
        click.echo(f"Note: the model was dumped with {name} {version}; {installed} is installed here.", err=True)
    artifact.verify_all()
    rows = len(artifact.manifest.golden.outputs)
    click.echo(
        f"{artifact.manifest.name} {artifact.version}: the digests match, and all {rows} golden rows give the recorded "
        "outputs."
    )


def _make(recipe: Recipe, output: Path) -> None:
    artifact = train(recipe, output)
    _print_metrics(artifact.manifest)
    click.echo(f"Wrote {output}: {artifact.manifest.name}, version {artifact.version}, verified in a new process.")


def _print_metrics(manifest: Manifest) -> None:
    method, figures = manifest.metrics["method"], manifest.metrics["metrics"]
    if not figures:
        click.echo(f"metrics: {method}")
        return
    table = Table("metric", "value", "spread", title=f"Metrics, {escape(method)}")
    for name, figure in figures.items():
        folds = f" over {figure['folds']} folds" if "folds" in figure else ""
        spread = f"± {figure['std']:.4f}" if "std" in figure else ""
        table.add_row(escape(name), f"{figure['mean']:.4f}", spread + folds)
    _console.print(table)


def _bound(text: str) -> tuple[str, tuple[float | None, float | None]]:
    column, _, limits = text.rpartition("=")
    low, colon, high = limits.partition(":")
    try:
        if not column or not colon:
            raise ValueError(text)
        return column, (float(low) if low else None, float(high) if high else None)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not COLUMN=LOW:HIGH", param_hint="--bounds") from None


if __name__ == "__main__":
    sys.exit(main())
