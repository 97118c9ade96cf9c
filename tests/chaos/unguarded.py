"""The service with its one guard against two rows of one id taken away: it looks whether an id is there, and inserts
what is not. Served by gunicorn as a control; the constraint has to be dropped after the start."""

from collections.abc import Iterator, Sequence

from service.factory import create_app
from service.settings import Settings
from service.statements import Row, Statements

_COLUMNS = (
    "observation_id, observation, proba, probas, predicted_class, predicted_value, threshold, model_version, created_at"
)
_INSERT = (
    f"INSERT INTO prediction ({_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id, observation_id"
)


def _insert(self: Statements, rows: Sequence[Row]) -> Iterator[tuple[int, str]]:
    there = {found["observation_id"] for found in self.read([row[0] for row in rows])}
    for row in rows:
        if row[0] not in there:
            yield self._database.execute_sql(_INSERT, row).fetchone()


Statements.insert = _insert  # type: ignore[method-assign]
app = create_app(Settings.from_env())
