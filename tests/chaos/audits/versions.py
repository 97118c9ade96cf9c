"""Compares the model versions of rows and answers: each probability is what the model of its row gives."""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path

import psycopg

from tests.chaos.audits.labels import audit_log
from tests.chaos.audits.rows import Audit, Row, key_of, probabilities
from tests.chaos.sender import Acknowledged, Labelled

_VERSIONS = "SELECT observation_id, model_version FROM prediction"


def audit_versions(
    database_url: str,
    acknowledged: Iterable[Acknowledged],
    labelled: Iterable[Labelled],
    models: Mapping[str, Path],
    *,
    exact: bool = False,
) -> Audit:
    """The same as `audit_log`, with the folders of the models by version. A first answer must name the version of its
    row."""
    versions, given = stored_versions(database_url), list(acknowledged)

    def expected(row: Row) -> float | None:
        folder = models.get(versions[row[1]])
        return None if folder is None else probabilities(folder).get(key_of(json.loads(row[4])))

    found = audit_log(database_url, given, labelled, exact=exact, expected=expected)
    named = [one for one in given if not one.replayed]
    wrong = sum(one.version != versions.get(json.dumps(one.id)) for one in named)
    found.blame("an answer that names another model than its row", wrong)
    return found


def stored_versions(database_url: str) -> dict[str, str]:
    """The model version of each row by its id as JSON."""
    if database_url.startswith("sqlite:///"):
        with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"))) as connection:
            return dict(connection.execute(_VERSIONS).fetchall())
    with psycopg.connect(database_url) as postgresql:
        return dict(postgresql.execute(_VERSIONS.encode()).fetchall())
