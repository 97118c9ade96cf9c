"""The service without protection against two rows with one id, as a control: it first reads which ids exist, and a
moment later inserts the others. The test must drop the UNIQUE constraint after the start."""

import time
from collections.abc import Iterator, Sequence

from service.factory import create_app
from service.settings import Settings
from service.storage.statements import InsertValues, Statements

_MOMENT_SECONDS = 0.1
_COLUMNS = (
    "observation_id, observation, proba, probas, predicted_class, predicted_value, threshold, model_version, created_at"
)
_INSERT = (
    f"INSERT INTO prediction ({_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id, observation_id"
)


def _insert(self: Statements, rows: Sequence[InsertValues]) -> Iterator[tuple[int, str]]:
    there = {found["observation_id"] for found in self.read([row[0] for row in rows])}
    time.sleep(_MOMENT_SECONDS)
    for row in rows:
        if row[0] not in there:
            yield self._database.execute_sql(_INSERT, row).fetchone()


def _insert_none(self: Statements, rows: Sequence[InsertValues]) -> dict[str, int]:
    return {}


Statements.insert = _insert  # type: ignore[method-assign]
Statements.insert_alone = _insert_none  # type: ignore[method-assign]
app = create_app(Settings.from_env())
