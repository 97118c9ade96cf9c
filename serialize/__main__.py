"""The command line of serialization: `python -m serialize train|recipe|show|verify`."""

import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from serialize.artifact import Artifact, load
from serialize.errors import ArtifactError, DumpError
from serialize.evaluate import FOLDS
from serialize.recipe import Recipe, train
from serialize.recipes import RECIPES
from serialize.train import from_csv, remarks

_console = Console()


class _Cli(click.Group):
    """Says what was refused in one line on standard error, and does not exit with 0."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            error.ctx = None  # with it, click would print the usage too
            raise
        except (DumpError, ArtifactError) as error:
            raise click.ClickException(" ".join(str(error).split())) from error


@click.group(cls=_Cli)
def main() -> None:
    """Make, show and verify the artifact that the service serves."""


@main.command("train")
@click.argument("csv", type=click.Path(path_type=Path))
@click.option("--target", required=True, help="The column to predict.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The folder to write.")
@click.option("--name", help="The model's name; the file's name without its ending by default.")
@click.option("--drop", multiple=True, help="A column to leave out; may be repeated.")
@click.option("--model", type=click.Choice(["logistic", "forest", "boosting"]), default="logistic", show_default=True)
@click.option("--task", type=click.Choice(["classification", "regression"]), help="Found from the target by default.")
@click.option("--threshold", type=float, help="The least probability of the positive class.  [default: 0.5]")
@click.option("--positive", help="The positive class of a target with two labels.  [default: the second]")
@click.option("--bounds", multiple=True, metavar="COLUMN=LOW:HIGH", help="Inclusive limits, either may be left out.")
@click.option("--categories", multiple=True, metavar="COLUMN", help="A column to close to the values seen.")
@click.option("--text", multiple=True, metavar="COLUMN", help="A string column to leave open.")
@click.option("--nullable", multiple=True, metavar="COLUMN", help="A column that may be null though no row is.")
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
    """Print what an artifact says of its model."""
    _print(load(directory))


@main.command("verify")
@click.argument("directory", type=click.Path(path_type=Path))
def _verify(directory: Path) -> None:
    """Check the digests and the golden rows of an artifact."""
    artifact = load(directory)
    artifact.prove_all()
    rows = len(artifact.manifest.golden.outputs)
    click.echo(
        f"{artifact.manifest.name} {artifact.version}: digests match, {rows} golden rows are answered as dumped."
    )


def _make(recipe: Recipe, output: Path) -> None:
    with Progress(console=_console, transient=True) as progress:
        folds = progress.add_task(f"Cross-validating {escape(recipe.name)}", total=FOLDS + 1)
        artifact = train(recipe, output, fold_done=lambda: progress.advance(folds))
    _print_metrics(artifact)
    click.echo(f"Wrote {output}: {artifact.manifest.name}, version {artifact.version}, proven in a fresh process.")


def _print(artifact: Artifact) -> None:
    manifest = artifact.manifest
    task = manifest.task
    click.echo(f"{manifest.name}, version {artifact.version}: {task.kind}")
    if task.classes:
        click.echo(f"classes: {', '.join(map(str, task.classes))}")
    if task.kind == "binary":
        click.echo(f"positive class: {task.positive_class}, threshold: {task.threshold}")
    table = Table("column", "kind", "dtype", "expected", "importance", title="An observation")
    shares = manifest.importances["columns"]
    for column in manifest.signature:
        share = f"{shares[column.name]['mean']:.4f}"
        table.add_row(escape(column.name), column.kind, escape(column.dtype), escape(column.expected), share)
    _console.print(table)
    _print_metrics(artifact)
    click.echo(f"compiled: {'yes' if artifact.compiled else f'no. {manifest.not_compiled}'}")
    click.echo("libraries: " + ", ".join(f"{name} {version}" for name, version in manifest.libraries.items()))
    for name, digest in manifest.files.items():
        click.echo(f"{name}: sha256 {digest}")


def _print_metrics(artifact: Artifact) -> None:
    metrics = artifact.manifest.metrics
    table = Table("metric", "value", "spread", title=f"Metrics, {metrics['method']}")
    for name, figure in metrics["metrics"].items():
        spread = f"± {figure['std']:.4f}" if "std" in figure else ""
        table.add_row(name, f"{figure['mean']:.4f}", spread)
    _console.print(table)


def _bound(text: str) -> tuple[str, tuple[float | None, float | None]]:
    column, _, limits = text.rpartition("=")
    low, colon, high = limits.partition(":")
    try:
        if not column or not colon:
            raise ValueError(text)
        return column, (_number(low), _number(high))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not COLUMN=LOW:HIGH", param_hint="--bounds") from None


def _number(text: str) -> float | None:
    if not text:
        return None
    number = float(text)
    return int(number) if number.is_integer() else number


if __name__ == "__main__":
    sys.exit(main())
