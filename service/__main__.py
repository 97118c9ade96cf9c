"""The command line of the service: `python -m service migrate`."""

import click

from service.database import DatabaseError, connect, kind, prepare
from service.settings import Settings, SettingsError


@click.group()
def main() -> None:
    """Look after the log of predictions."""


@main.command()
def migrate() -> None:
    """Create what is missing in the database and migrate what is old; nothing is dropped."""
    try:
        settings = Settings.from_env()
        database = connect(settings.database_url, require_tls=bool(settings.dyno))
        applied = prepare(database)
    except (SettingsError, DatabaseError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"The {kind(database)} database is up to date; {len(applied)} migrations ran now.")


if __name__ == "__main__":
    main()
