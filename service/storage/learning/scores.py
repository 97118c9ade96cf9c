"""Scores of logged rows by another model than the one that answered: written once for each row and version, erased with
the row."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from peewee import Database, ModelSelect, SqliteDatabase, fn

from service.prediction.observation import canonical
from service.prediction.scoring import Score
from service.storage.learning.growth import newest_row
from service.storage.learning.tables import ShadowScore
from service.storage.tables import Prediction

ROWS_AT_ONCE = 500

_NO_ANSWER = Score()
_INSERT = "INSERT INTO shadow_score (prediction_id, version, proba, probas, predicted_class, predicted_value)"


class Unscored(NamedTuple):
    """The rows of a block that a version has neither answered nor scored, as (id, observation as JSON); the number of
    rows in the block, and its last id."""

    rows: list[tuple[int, str]]
    size: int
    end: int


class ShadowScores:
    """Reads and writes through an open connection."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def first(self, since: datetime) -> int | None:
        """The least id of the rows made at or after a time, or None. Reads the whole log."""
        query = Prediction.select(fn.MIN(Prediction.id)).where(Prediction.created_at >= since)
        found: int | None = query.scalar(self._database)
        return found

    def last(self) -> int:
        """The greatest id of the log, 0 if it is empty."""
        return newest_row(self._database)

    def labelled(self, since: datetime) -> int:
        """The number of rows whose newest label came at or after a time. Reads the whole log."""
        return int(Prediction.select().where(Prediction.labelled_at >= since).count(self._database))

    def count(self, after: int, end: int, since: datetime | None = None) -> int:
        """The number of rows with ids above `after`, up to `end`, made at or after a time."""
        return int(_between(Prediction.select(), after, end, since).count(self._database))

    def unscored(self, version: str, after: int, since: datetime | None = None) -> Unscored | None:
        """The next ROWS_AT_ONCE rows above an id, reduced to those made at or after a time that a version has not
        scored. None at the end of the log."""
        ids = Prediction.select(Prediction.id).where(Prediction.id > after).order_by(Prediction.id).limit(ROWS_AT_ONCE)
        found = [id_ for (id_,) in ids.tuples().execute(self._database)]
        if not found:
            return None
        query = _between(Prediction.select(Prediction.id, Prediction.observation), after, found[-1], since)
        scored = ShadowScore.select(ShadowScore.prediction).where(
            ShadowScore.version == version, ShadowScore.prediction.between(found[0], found[-1])
        )
        missing = query.where(Prediction.id.not_in(scored), _is_of_another(version)).order_by(Prediction.id)
        return Unscored(list(missing.tuples().execute(self._database)), len(found), found[-1])

    def add(self, version: str, scores: Sequence[tuple[int, Score | None]]) -> int:
        """Within the caller's transaction: writes the scores of rows by their ids, None for a row that the model
        refuses. A row that was erased meanwhile, or is scored already, is left out. Returns the number of new ones."""
        kept = self._locked([id_ for id_, _ in scores])
        rows = [_row(version, id_, score or _NO_ANSWER) for id_, score in scores if id_ in kept]
        if not rows:
            return 0
        # Peewee would take 80 ms to write the statement for 500 rows, and nobody else could write to SQLite meanwhile.
        one = f"({', '.join([self._database.param] * len(rows[0]))})"
        statement = f"{_INSERT} VALUES {', '.join([one] * len(rows))} ON CONFLICT DO NOTHING"
        return int(self._database.execute_sql(statement, [value for row in rows for value in row]).rowcount)

    def refused(self, version: str) -> int:
        """The number of rows that a version was to score and refused."""
        query = ShadowScore.select().where(
            ShadowScore.version == version, ShadowScore.proba.is_null(), ShadowScore.predicted_value.is_null()
        )
        return int(query.count(self._database))

    def _locked(self, ids: Sequence[int]) -> set[int]:
        """Those of the rows that exist. PostgreSQL locks them against erasure; in SQLite nobody else writes."""
        if not ids:
            return set()
        lock = "" if isinstance(self._database, SqliteDatabase) else " FOR KEY SHARE"
        among = ", ".join(map(str, ids))
        found = self._database.execute_sql(f"SELECT id FROM prediction WHERE id IN ({among}) ORDER BY id{lock}")
        return {id_ for (id_,) in found.fetchall()}


def _between(
    query: "ModelSelect[Prediction]", after: int, end: int, since: datetime | None
) -> "ModelSelect[Prediction]":
    chosen = query.where(Prediction.id > after, Prediction.id <= end)
    return chosen if since is None else chosen.where(Prediction.created_at >= since)


def _is_of_another(version: str) -> Any:
    return Prediction.model_version.is_null() | (Prediction.model_version != version)


def _row(version: str, id_: int, score: Score) -> tuple[Any, ...]:
    """The values of an insert, in the order of _INSERT."""
    probas = None if score.probas is None else canonical(score.probas)
    predicted = None if score.predicted_class is None else canonical(score.predicted_class)
    return (id_, version, score.proba, probas, predicted, score.predicted_value)
