"""`python -m service import`: takes the table of the original app into the log. A row that cannot be taken goes to
the rejects file, one JSON object per line."""

import json
import math
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import IO, Any

import click
from peewee import Database, SqliteDatabase

from serialize.errors import ArtifactError
from serialize.folder import MANIFEST
from serialize.store.address import is_url
from serialize.task import Label
from service.cli.log import failures, progress
from service.cli.options import FiniteRange
from service.export.atomic_file import new_file
from service.prediction.original_row import ORIGINAL_THRESHOLD
from service.settings import Settings
from service.storage.connection import database_of
from service.storage.deletion import name_of
from service.storage.migrate import prepare
from service.storage.original_import import TAKEN, OriginalImport
from service.storage.original_log import OriginalTable, SourceError, is_same, open_source
from service.storage.session import Session

_MOST_VERSION_CHARACTERS = 64
_FIRST = b'{"reason": '


def _version(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not (
        0 < len(value) <= _MOST_VERSION_CHARACTERS and value.isascii() and value.isprintable()
    ):
        raise click.BadParameter(f"use 1 to {_MOST_VERSION_CHARACTERS} printable characters of ASCII.")
    return value


@click.command("import")
@click.argument("source")
@click.option(
    "--rejects",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The file for rows that are not taken.  [default: SOURCE.rejects.ndjson]",
)
@click.option(
    "--threshold",
    type=FiniteRange(0, 1),
    default=ORIGINAL_THRESHOLD,
    show_default=True,
    help="The least probability at which the original app meant the positive class.",
)
@click.option("--model-version", callback=_version, help="The model version to store with every row.  [default: none]")
def import_log(source: str, rejects: Path | None, threshold: float, model_version: str | None) -> None:
    """Take the predictions and labels of the original app into the log.

    SOURCE is its SQLite file or the URL of its database; it is only read. To repeat the command continues an import
    that was interrupted, and adds new rows and labels. The service may run meanwhile."""
    try:
        with failures():
            _import(source, rejects, threshold, model_version)
    except (SourceError, ArtifactError) as error:
        raise click.ClickException(" ".join(str(error).split())) from error


def _import(source: str, rejects: Path | None, threshold: float, model_version: str | None) -> None:
    settings = Settings.from_env()
    classes, target = _classes(settings), database_of(settings)
    with closing(open_source(source, require_tls=bool(settings.dyno))) as found:
        if is_same(found, target):
            raise SourceError(
                "SOURCE is the database of DATABASE_URL. If it had an original table at the first start, its rows are "
                "in the log, and the table is now prediction_original. Otherwise give another database as SOURCE."
            )
        table = OriginalTable.find(found)
        path = rejects or _beside(source, found)
        _require_free(path)
        with new_file(path, replace=True) as file:
            prepare(target)
            with closing(Session(target)) as session:
                counts = _take(table, OriginalImport(session, classes, threshold, model_version), file)
    _show(counts, table.name, path)


def _classes(settings: Settings) -> tuple[Label, Label]:
    """The negative and the positive class of the model of ARTIFACTS; false and true if there is none."""
    from serialize.content import read_content  # noqa: PLC0415

    if not is_url(settings.artifacts) and not (Path(settings.artifacts) / MANIFEST).exists():
        return False, True
    task = read_content(settings.artifacts, settings.trust()).manifest.task
    if task.kind != "binary" or task.positive_class is None:
        raise SourceError(
            "The model of ARTIFACTS is not binary, but the original app has two classes; set ARTIFACTS to the "
            "model that takes its place."
        )
    return task.negative_class, task.positive_class


def _beside(source: str, database: Database) -> Path:
    """The default rejects file: beside a SQLite file; in the working folder for a URL of PostgreSQL."""
    name = source.removeprefix("sqlite:///") if isinstance(database, SqliteDatabase) else name_of(database)
    return Path(f"{name}.rejects.ndjson")


def _require_free(path: Path) -> None:
    """Raises SourceError if the path holds anything but an earlier rejects file, or has no folder."""
    if not path.parent.is_dir():
        raise SourceError(f"There is no folder {path.parent}; name another file with --rejects.")
    if path.exists() and not (path.is_file() and _is_rejects_file(path)):
        raise SourceError(f"{path} is not a rejects file of this command; name another file with --rejects.")


def _is_rejects_file(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(len(_FIRST))
    return head in (b"", _FIRST)


def _take(table: OriginalTable, log: OriginalImport, file: IO[bytes]) -> Counter[str]:
    """The number of rows by outcome."""
    counts: Counter[str] = Counter()
    total = table.count()
    with progress() as advance:
        for page in table.pages():
            outcomes = log.take(page)
            counts.update(outcomes)
            rejected = ((row, outcome) for row, outcome in zip(page, outcomes, strict=True) if outcome not in TAKEN)
            file.writelines(_line(row, reason) for row, reason in rejected)
            advance(min(counts.total() / total, 1.0) if total else 1.0)
    return counts


def _line(row: Mapping[str, Any], reason: str) -> bytes:
    return json.dumps({"reason": reason, **{name: _value(value) for name, value in row.items()}}).encode() + b"\n"


def _value(value: Any) -> Any:
    """A value of the source as JSON. What JSON does not have becomes text."""
    if isinstance(value, bytes):
        return value.decode(errors="surrogateescape")
    return value if value is None or isinstance(value, str | int) or _is_finite(value) else str(value)


def _is_finite(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value)


def _show(counts: Counter[str], table: str, path: Path) -> None:
    click.echo(f"{counts.total():,} rows of the table {table} were read:")
    for outcome, number in sorted(counts.items(), key=lambda item: (item[0] not in TAKEN, -item[1], item[0])):
        click.echo(f"{number:>12,} {outcome if outcome in TAKEN else f'rejected: {outcome}'}")
    rejected = sum(number for outcome, number in counts.items() if outcome not in TAKEN)
    click.echo(
        f"The {rejected:,} rejected rows are in {path}." if rejected else f"No row was rejected; {path} is empty."
    )
