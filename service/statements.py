"""The one statement that every prediction goes through, written by Peewee once for each number of rows: writing it
anew would cost more than the database takes to carry it out."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from peewee import Database

from service.models import Prediction
from service.observation import canonical
from service.scoring import Score

_FIELDS = [
    Prediction.observation_id,
    Prediction.observation,
    Prediction.proba,
    Prediction.probas,
    Prediction.predicted_class,
    Prediction.predicted_value,
    Prediction.threshold,
    Prediction.model_version,
    Prediction.created_at,
]
_LARGEST = 512

Row = tuple[Any, ...]


def row(key: str, text: str, score: Score, threshold: float | None, model_version: str, created_at: str) -> Row:
    """The values of one prediction in the order of the statement; `created_at` is `moment`'s text."""
    probas = None if score.probas is None else canonical(score.probas)
    predicted = None if score.predicted_class is None else canonical(score.predicted_class)
    return (key, text, score.proba, probas, predicted, score.predicted_value, threshold, model_version, created_at)


def moment(time: datetime) -> str:
    """A time as the database takes it."""
    return str(Prediction.created_at.db_value(time))


class InsertPredictions:
    """Inserts rows of distinct ids and leaves out those whose id is there, by the database's own judgement."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._texts: dict[int, str] = {}

    def __call__(self, rows: Sequence[Row]) -> Iterator[tuple[int, str]]:
        """Inserts the rows and yields (id, observation_id) of those that were new. The rows go in chunks whose sizes
        are powers of two, so that few statements serve every number."""
        start = 0
        while start < len(rows):
            size = min(_LARGEST, 1 << (len(rows) - start).bit_length() - 1)
            values = [value for row in rows[start : start + size] for value in row]
            yield from self._database.execute_sql(self._text(size), values).fetchall()
            start += size

    def _text(self, size: int) -> str:
        text = self._texts.get(size)
        if text is None:
            text = self._texts[size] = self._written(size)
        return text

    def _written(self, size: int) -> str:
        now = datetime.now(UTC)
        example = (*row("", "", Score(), None, "", moment(now))[:-1], now)
        query = (
            Prediction.insert_many([example] * size, fields=_FIELDS)
            .on_conflict(conflict_target=[Prediction.observation_id], action="nothing")
            .returning(Prediction.id, Prediction.observation_id)
        )
        text, values = self._database.get_sql_context().parse(query)
        if len(values) != size * len(_FIELDS):
            raise RuntimeError("Peewee wrote a statement with other parameters than one a value")
        return str(text)
