"""The commands for the registry: `python -m service models|register|promote|rollback|retire|pull`."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click
from peewee import PeeweeException
from rich.console import Console
from rich.table import Column, Table

from serialize.content import read_content
from serialize.errors import ArtifactError, DumpError
from serialize.store.address import checked_url, is_url
from service.errors import ServiceError
from service.registry.registry import Registry
from service.registry.release import OFF, author, registry_of
from service.settings import Settings, SettingsError
from service.storage.connection import DatabaseError, database_of
from service.storage.migrate import require_log
from service.storage.models.store import StoredModel
from service.storage.session import Session

_PIPED_CHARACTERS = 160  # the width of a table that is not written to a terminal


@click.group("models", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object per line.")
@click.pass_context
def models(context: click.Context, as_json: bool) -> None:
    """List the models of the registry, the newest first."""
    if context.invoked_subcommand is not None:
        return
    with _registry() as registry:
        champion, found = registry.promotions.champion(), registry.store.models()
    rows = [_row(model, champion) for model in found]
    if as_json:
        for row in rows:
            click.echo(json.dumps({**row, "registered_at": row["registered_at"].isoformat()}))
        return
    table = Table(Column("version", no_wrap=True), "name", "state", "registered", "by", "verdict", "note")
    for row in rows:
        state = "champion" if row["champion"] else row["state"]
        registered = f"{row['registered_at']:%Y-%m-%d %H:%M:%S}"
        verdict = row["verdict"]["outcome"] if row["verdict"] else ""
        table.add_row(row["version"], row["name"], state, registered, row["registered_by"], verdict, row["note"] or "")
    width = None if sys.stdout.isatty() else _PIPED_CHARACTERS
    Console(markup=False, width=width).print(table)
    for row in rows:
        if row["url"]:
            click.echo(f"The files of {row['version']} are at {row['url']}.")


def _row(model: StoredModel, champion: str | None) -> dict[str, Any]:
    row = {name: value for name, value in asdict(model).items() if name not in ("manifest", "signature")}
    verdict = None if model.verdict is None else json.loads(model.verdict)
    return {**row, "verdict": verdict, "champion": model.version == champion}


@models.command("resign")
def resign() -> None:
    """Sign all models with the first key of MODEL_SIGNING_KEY, after it was replaced."""
    with _registry() as registry:
        signed = registry.resign()
    click.echo(f"{len(signed)} models were signed with the new key.")


@click.command()
@click.argument("place", metavar="DIR|URL")
@click.option("--digest", help="The sha256 of manifest.json; a URL needs it, or REQUIRE_SIGNED.")
@click.option("--note", help="A text for the list of models.")
def register(place: str, digest: str | None, note: str | None) -> None:
    """Store the artifact in a folder or at a URL in the database. The last line of the output is its version.

    A model at a URL that is larger than MODEL_MAX_BYTES stays there, and is read from there when it serves."""
    with _registry() as registry:
        url = checked_url(place) if is_url(place) else None
        trust = replace(Settings.from_env().trust(), max_bytes=registry.most_bytes)
        if digest is not None:
            trust = replace(trust, digest=digest)
        elif url is not None and trust.digest is None and not trust.must_be_signed:
            raise click.ClickException(
                f"{url} is not read without a condition; give --digest with the sha256 that `python -m serialize push` "
                "prints, or set REQUIRE_SIGNED=1 and MODEL_SIGNING_KEY."
            )
        model = registry.register(read_content(url or place, trust), author(), note, url=url)
    click.echo(model.version)


@click.command()
@click.argument("version")
@click.option("--reason", help="A text for the history.")
@click.option("--force", is_flag=True, help="Promote it even if it refuses observations of the log.")
def promote(version: str, reason: str | None, force: bool) -> None:
    """Make a registered model the champion, which serves.

    The model is loaded in a process of its own, its golden rows are compared, and it must accept the newest 1,000
    observations of the log."""
    with _registry() as registry:
        registry.promote(version, author(), reason, force=force)
    click.echo(f"{version} is the champion.")


@click.command()
@click.option("--reason", help="A text for the history.")
def rollback(reason: str | None) -> None:
    """Make the model before the champion the champion again. Each rollback goes back one further."""
    with _registry() as registry:
        version = registry.rollback(author(), reason).champion
    click.echo(f"{version} is the champion.")


@click.command()
@click.argument("version")
def retire(version: str) -> None:
    """Remove the files of a model from the database. Its manifest stays for reports."""
    with _registry() as registry:
        registry.retire(version)
    click.echo(f"{version} is retired.")


@click.command()
@click.argument("version")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The folder to write.")
def pull(version: str, output: Path) -> None:
    """Write a registered model to a folder, as an artifact with its signature."""
    with _registry() as registry:
        registry.pull(version, output)
    click.echo(f"{version} was written to {output}.")


@contextmanager
def _registry() -> Iterator[Registry]:
    with open_registry() as (_, _, registry):
        yield registry


@contextmanager
def open_registry() -> Iterator[tuple[Settings, Session, Registry]]:
    """The settings, and the registry of DATABASE_URL with its session. Turns expected errors into one line on standard
    error."""
    try:
        settings = Settings.from_env()
        session = Session(require_log(database_of(settings)))
        try:
            registry = registry_of(settings, session)
            if registry is None:
                raise click.ClickException(OFF)
            yield settings, session, registry
        finally:
            session.close()
    except (SettingsError, DatabaseError, ArtifactError, DumpError, ServiceError, PeeweeException, OSError) as error:
        raise click.ClickException(str(error)) from error
