"""`python -m service replay`: has a registered model score rows of the log that it has not answered."""

from datetime import UTC, datetime

import click

from service.cli.log import progress
from service.cli.models import open_registry
from service.cli.options import since_option
from service.prediction.moment import moment_of
from service.registry.registry import counted
from service.settings import set_native_defaults


@click.command()
@click.argument("version")
@since_option
def replay(version: str, since: int | None) -> None:
    """Have a registered model score the rows of the log that it has not answered.

    The service may run meanwhile. To repeat it changes nothing; what was interrupted goes on. Then
    `python -m service compare` compares the model with the one that answered."""
    set_native_defaults()
    from service.learning.replay import replay_of  # noqa: PLC0415 - scikit-learn takes a second

    moment = None if since is None else datetime.fromisoformat(moment_of(since)).astimezone(UTC)
    with open_registry() as (settings, session, registry):
        running = replay_of(session, registry, version, compiled=settings.scorer == "compiled")
        with progress() as advance:
            done = running.run(moment, progress=advance)
        refused = session.read(running.refused)
    click.echo(f"{version} scored {done.scored:,} rows of the log.")
    if done.refused:
        click.echo(f"It refused {done.refused:,}, by column: {counted(done.columns)}.")
    if refused > done.refused:
        click.echo(f"It refused {refused - done.refused:,} before.")
