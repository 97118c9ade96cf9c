"""The command line of the service: `python -m service migrate|export|purge|report|simulate`."""

import math
from pathlib import Path
from typing import Any

import click
from peewee import PeeweeException
from rich.console import Console

from serialize.errors import ArtifactError
from service.cli.log import export, purge
from service.cli.options import selection_options
from service.errors import ServiceError
from service.prediction.filter import Selection
from service.settings import Settings, SettingsError
from service.storage.connection import DatabaseError, database_of, kind
from service.storage.migrate import prepare

# What a command alone needs it imports itself: matplotlib and scikit-learn take a second each.


@click.group()
def main() -> None:
    """Look after the log of predictions."""


main.add_command(export)
main.add_command(purge)


@main.command()
def migrate() -> None:
    """Create what is missing in the database and migrate what is old; nothing is dropped."""
    try:
        database = database_of(Settings.from_env())
        applied = prepare(database)
    except (SettingsError, DatabaseError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"The {kind(database)} database is up to date; {len(applied)} migrations ran now.")


@main.command("report")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="The file.  [default: report.html]"
)
@click.option(
    "--png", "folder", type=click.Path(path_type=Path, file_okay=False), help="A folder for the charts alone."
)
@selection_options
@click.option("--force", is_flag=True, help="Overwrite a file that is not an earlier report.")
def _report(output: Path | None, folder: Path | None, force: bool, **selection: Any) -> None:
    """Write a report on performance and drift, with charts, as one HTML file."""
    from service.cli import report  # noqa: PLC0415

    path = output or (None if folder else Path("report.html"))
    try:
        if path and not force:
            report.require_free(path)
        made, about = report.make(Settings.from_env(), Selection(**selection))
        report.show(made, Console())
        if folder:
            report.write_charts(folder, made)
        if path:
            report.write(path, made, about)
    except (SettingsError, DatabaseError, ArtifactError, ServiceError, PeeweeException, OSError) as error:
        raise click.ClickException(_said(error)) from error
    click.echo(f"Wrote {', '.join(str(place) for place in (path, folder) if place)}.")


class _Finite(click.FloatRange):
    """A range that neither infinity nor what is no number is in."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        found = super().convert(value, param, ctx)
        if not math.isfinite(found):
            self.fail(f"{value} is no finite number.", param, ctx)
        return found


@main.command("simulate")
@click.option("--url", default="http://127.0.0.1:5000", show_default=True, help="Where the service is.")
@click.option("--api-key", envvar="API_KEY", default="", help="A key of the service.  [env: API_KEY]")
@click.option("--rows", type=click.IntRange(1, 1_000_000), default=2000, show_default=True)
@click.option("--rate", type=_Finite(0, min_open=True), default=50.0, show_default=True, help="A second.")
@click.option("--delay", type=_Finite(0), default=5.0, show_default=True, help="Mean seconds to the label.")
@click.option("--label-share", type=_Finite(0, 1), default=0.9, show_default=True, help="The rest has none.")
@click.option("--shift", "shifts", multiple=True, metavar="COLUMN=CHANGE", help="May be repeated; see above.")
@click.option("--seed", type=click.IntRange(0, 2**31), default=0, show_default=True, help="Chooses rows and delays.")
def _simulate(url: str, api_key: str, rate: float, **options: Any) -> None:
    """Ask a running service for predictions of a built-in data set that fits its model, and label them later.

    CHANGE is +N, -N or *N for numbers, null:SHARE or null:*N (N times as many), swap (the two most frequent values),
    or the value that every row gets."""
    from service.cli import simulate  # noqa: PLC0415

    simulate.simulate(url, api_key, rate, **options)


def _said(error: Exception) -> str:
    """The error in one line."""
    faults = getattr(error, "faults", None)
    return "; ".join(fault.detail for fault in faults) if faults else " ".join(str(error).split())


if __name__ == "__main__":
    main()
