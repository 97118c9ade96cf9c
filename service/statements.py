"""The statements that every request goes through, each written by Peewee once for each number of rows: to write one
anew costs more than the database takes to carry it out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from peewee import Database, Field, Query

from service.models import Prediction
from service.observation import canonical
from service.scoring import Score

_INSERTED = [
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
Value = TypeVar("Value")


def inserted_row(
    key: str, text: str, score: Score, threshold: float | None, model_version: str, created_at: datetime
) -> Row:
    """The values of one prediction in the order of the insert."""
    probas = None if score.probas is None else canonical(score.probas)
    predicted = None if score.predicted_class is None else canonical(score.predicted_class)
    moment = Prediction.created_at.db_value(created_at)
    return (key, text, score.proba, probas, predicted, score.predicted_value, threshold, model_version, moment)


class Statements:
    """The statements on the table of predictions, for one database. Any number of rows goes in chunks whose sizes are
    powers of two, so that few texts serve every number."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._texts: dict[tuple[str, int], str] = {}

    def insert(self, rows: Sequence[Row]) -> Iterator[tuple[int, str]]:
        """Inserts rows of distinct ids and yields (id, observation_id) of those that were new; whether one is there
        already is the database's own judgement."""
        for chunk in _chunks(rows):
            values = [value for row in chunk for value in row]
            yield from self._run("insert", _insert, len(chunk), values)

    def read(self, keys: Sequence[str], *, lock: bool = False) -> Iterator[dict[str, Any]]:
        """Yields the rows with these observation_ids by column; with `lock` they stay as they are until the end of
        the transaction."""
        fields: Mapping[str, Field] = Prediction._meta.fields
        locked = lock and self._database.for_update
        write = _read_locked if locked else _read
        for chunk in _chunks(keys):
            for row in self._run("lock" if locked else "read", write, len(chunk), chunk):
                values = zip(fields.items(), row, strict=True)
                yield {name: field.python_value(value) for (name, field), value in values}

    def label(self, column: str, value: Any, labelled_at: datetime, ids: Sequence[int]) -> None:
        """Sets the true label, in the column `true_class` or `true_value`, of the rows with these ids."""
        moment = Prediction.labelled_at.db_value(labelled_at)
        write = _label_class if column == "true_class" else _label_value
        for chunk in _chunks(ids):
            self._run(column, write, len(chunk), [value, moment, *chunk])

    def _run(self, name: str, write: Callable[[int], Any], size: int, values: Sequence[Any]) -> list[Any]:
        text = self._texts.get((name, size))
        if text is None:
            text, written = self._database.get_sql_context().parse(write(size))
            if len(written) != len(values):
                raise RuntimeError(f"Peewee wrote the statement {name} with other parameters than it is given")
            self._texts[name, size] = text
        cursor = self._database.execute_sql(text, values)
        return list(cursor.fetchall()) if cursor.description else []


def _insert(size: int) -> Query:
    example = (*inserted_row("", "", Score(), None, "", datetime.now(UTC))[:-1], datetime.now(UTC))
    query = Prediction.insert_many([example] * size, fields=_INSERTED)
    arbitrated = query.on_conflict(conflict_target=[Prediction.observation_id], action="nothing")
    return arbitrated.returning(Prediction.id, Prediction.observation_id)


def _read(size: int) -> Any:
    return Prediction.select().where(Prediction.observation_id.in_([""] * size)).order_by(Prediction.id)


def _read_locked(size: int) -> Any:
    return _read(size).for_update()


def _label_class(size: int) -> Query:
    return _labelled(size, true_class="")


def _label_value(size: int) -> Query:
    return _labelled(size, true_value=0.0)


def _labelled(size: int, **label: Any) -> Query:
    labels = Prediction.update({**label, "labelled_at": datetime.now(UTC)})
    return labels.where(Prediction.id.in_([0] * size))


def _chunks(items: Sequence[Value]) -> Iterator[Sequence[Value]]:
    start = 0
    while start < len(items):
        size = min(_LARGEST, 1 << (len(items) - start).bit_length() - 1)
        yield items[start : start + size]
        start += size
