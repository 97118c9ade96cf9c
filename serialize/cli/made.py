"""What the commands that make an artifact print about it, and its metrics for `show`."""

from pathlib import Path
from typing import Any

import click
import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from serialize.artifact import Artifact
from serialize.cli import summary
from serialize.manifest import Manifest

console = Console()


def print_made(artifact: Artifact, y: "pd.Series[Any] | None", output: Path) -> None:
    """Prints the task, how good the model is, where the artifact is, and what to do next. `dump` has said already
    whether the model is compiled. `y` holds the targets of the n training rows, of shape (n,), if there are any."""
    for line in summary.describe(artifact.manifest.task, y):
        click.echo(line)
    if y is not None and "baseline" not in artifact.manifest.metrics:
        click.echo(summary.baseline(artifact.manifest.task, y))
    print_metrics(artifact.manifest)
    click.echo(f"Wrote {output}: {artifact.manifest.name}, version {artifact.version}, verified in a new process.")
    for line in summary.next_step(output):
        click.echo(line)


def print_metrics(manifest: Manifest) -> None:
    """Prints the metrics as a table, with the baseline beside them if there is one."""
    method, figures = manifest.metrics["method"], manifest.metrics["metrics"]
    baseline = manifest.metrics.get("baseline", {})
    if not figures:
        click.echo(f"metrics: {method}")
        return
    headings = ("metric", "value", "spread", *(("baseline",) if baseline else ()))
    table = Table(*headings, title=f"Metrics, {escape(method)}")
    for name, figure in figures.items():
        folds = f" over {figure['folds']} folds" if "folds" in figure else ""
        spread = f"± {figure['std']:.4f}" if "std" in figure else ""
        beside = f"{baseline[name]['mean']:.4f}" if name in baseline else ""
        table.add_row(escape(name), f"{figure['mean']:.4f}", spread + folds, *((beside,) if baseline else ()))
    console.print(table)
