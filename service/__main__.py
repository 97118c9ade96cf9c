"""The command line of the service: `python -m service COMMAND`; docs/commands.md lists them."""

from service.server.early_stop import end_at_sigterm, keep_sigterm

if __name__ == "__main__":
    end_at_sigterm()  # before the other imports, which take seconds

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import click
from peewee import PeeweeException
from rich.console import Console

from serialize.errors import ArtifactError
from service.cli.options import FiniteRange, OwnData, data_options, selection_options, service_options
from service.errors import ServiceError
from service.prediction.filter import Selection
from service.settings import Settings, SettingsError
from service.storage.connection import DatabaseError, database_of, kind
from service.storage.migrate import prepare

# The other commands, below service.cli, are imported when they are asked for: matplotlib and scikit-learn take a second
# each.
_ELSEWHERE = {
    "compare": "compare.compare",
    "export": "log.export",
    "import": "import_log.import_log",
    "label": "label.label",
    "models": "models.models",
    "promote": "models.promote",
    "pull": "models.pull",
    "purge": "log.purge",
    "register": "models.register",
    "replay": "replay.replay",
    "retire": "models.retire",
    "retrain": "retrain.retrain",
    "rollback": "models.rollback",
    "score": "score.score",
    "worker": "worker.worker",
}


class _Commands(click.Group):
    """The commands of this module and of _ELSEWHERE."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_ELSEWHERE})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        module, _, name = _ELSEWHERE[cmd_name].partition(".")
        command: click.Command = getattr(import_module(f"service.cli.{module}"), name)
        return command


@click.group(cls=_Commands)
def main() -> None:
    """Run the service, and manage the log of predictions."""


@main.command()
def migrate() -> None:
    """Create or migrate the tables of the database. Nothing is dropped."""
    _migrate()


@main.command()
def release() -> None:
    """Do what `migrate` does, then register the model of ARTIFACTS and promote it if this deployment brings it."""
    _release()


@main.command()
def serve() -> None:
    """Do what `release` does, then become the web process. A container starts with this command."""
    _release()
    sys.stdout.flush()
    keep_sigterm()
    os.execv(sys.executable, [sys.executable, "-m", "gunicorn", "app:app"])


def _migrate() -> None:
    try:
        database = database_of(Settings.from_env())
        applied = prepare(database)
    except (SettingsError, DatabaseError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"The {kind(database)} database is up to date; {len(applied)} migrations ran now.")


def _release() -> None:
    from service.registry.release import release  # noqa: PLC0415

    _migrate()
    try:
        content, promoted = release(Settings.from_env(), lambda reason: click.echo(f"Warning: {reason}", err=True))
    except (SettingsError, DatabaseError, ArtifactError, ServiceError) as error:
        raise click.ClickException(_one_line(error)) from error
    outcome = {True: "is the champion now", False: "is registered; the champion stays", None: "is not registered"}
    click.echo(f"Model {content.version} {outcome[promoted]}.")


@main.command("report")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="The output file.  [default: report.html]"
)
@click.option(
    "--png",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write the charts to this folder, as PNG files.",
)
@selection_options
@click.option("--force", is_flag=True, help="Overwrite the file even if it is not a report.")
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
        raise click.ClickException(_one_line(error)) from error
    click.echo(f"Wrote {', '.join(str(place) for place in (path, folder) if place)}.")
    if not made.performance["count"]:
        click.echo(
            "It is empty, because the log has no predictions in this selection; "
            "`python -m service simulate --data FILE --target COLUMN` sends rows of yours to the service."
        )


@main.command("simulate")
@service_options
@data_options
@click.option("--rows", type=click.IntRange(1, 1_000_000), default=2000, show_default=True, help="Rows to send.")
@click.option("--rate", type=FiniteRange(0, min_open=True), default=50.0, show_default=True, help="Rows per second.")
@click.option("--delay", type=FiniteRange(0), default=5.0, show_default=True, help="Mean delay of labels, in seconds.")
@click.option("--label-share", type=FiniteRange(0, 1), default=0.9, show_default=True, help="Share of labelled rows.")
@click.option("--shift", "shifts", multiple=True, metavar="COLUMN=CHANGE", help="See above; may be repeated.")
@click.option("--seed", type=click.IntRange(0, 2**31), default=0, show_default=True, help="Seed of rows and delays.")
def _simulate(data: Path | None, target: str | None, sep: str, encoding: str, **options: Any) -> None:
    """Send rows to a running service, and their true labels later: those of --data, or of a built-in data set that
    fits the model.

    CHANGE is +N, -N or *N for numbers, null:SHARE, null:*N (N times as many nulls), swap (exchange the two most
    frequent values), or a new value for every row."""
    from service.cli import simulate  # noqa: PLC0415

    simulate.simulate(own=OwnData(data, target, sep, encoding), **options)


@main.command("seed")
@service_options
@data_options
@click.option("--rows", type=click.IntRange(1, 10_000), default=500, show_default=True, help="The most rows to send.")
def _seed(data: Path | None, target: str | None, sep: str, encoding: str, **options: Any) -> None:
    """Fill the log of a running service with rows and their true labels: those of --data, or of a built-in data set
    that fits the model. To repeat it changes nothing."""
    from service.cli import simulate  # noqa: PLC0415

    simulate.seed(own=OwnData(data, target, sep, encoding), **options)


def _one_line(error: Exception) -> str:
    """The error in one line."""
    faults = getattr(error, "faults", None)
    return "; ".join(fault.detail for fault in faults) if faults else " ".join(str(error).split())


if __name__ == "__main__":
    main()
