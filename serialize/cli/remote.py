"""The commands that write an artifact to a URL and read it from there. Neither loads the model."""

from pathlib import Path

import click

from serialize.cli import trust_options
from serialize.content import push_content, read_content, write_content
from serialize.folder import refuse_foreign_files
from serialize.store.address import checked_url
from serialize.trust import Trust, signing_keys


@click.command("push")
@click.argument("directory", type=click.Path(path_type=Path))
@click.argument("url")
def push(directory: Path, url: str) -> None:
    """Write an artifact to a URL: s3://bucket/folder, gs://, az://, https:// or file://."""
    place, content = checked_url(url), read_content(directory)
    push_content(content, place)
    click.echo(f"Pushed {directory} to {place}: {content.manifest.name}, version {content.version}.")
    click.echo(f"Next: ARTIFACTS={place} MODEL_DIGEST={content.digest}")


@click.command("pull")
@click.argument("url")
@click.argument("directory", type=click.Path(path_type=Path))
@trust_options.digest
@trust_options.signed
@trust_options.max_bytes
@trust_options.key
def pull(url: str, directory: Path, digest: str | None, signed: bool, max_bytes: int, key: str | None) -> None:
    """Read an artifact from a URL into a folder, which it replaces as a whole."""
    place, trust = checked_url(url), Trust(digest or None, signing_keys(key or ""), signed, max_bytes)
    refuse_foreign_files(directory.resolve())
    content = read_content(place, trust)
    write_content(content, directory)
    click.echo(f"Pulled {place} into {directory}: {content.manifest.name}, version {content.version}.")
