"""The statements of every request. Peewee writes each once per number of rows, and the text is kept: writing it takes
longer than running it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any, TypeVar

from peewee import Database, Field, IntegrityError, Query, SqliteDatabase

from serialize.task import Label
from service.prediction.observation import canonical
from service.prediction.scoring import Score
from service.storage.tables import LabelCorrection, Prediction, UtcField

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
_COLUMNS: Mapping[str, Field] = Prediction._meta.fields
_TIMES = {name: field for name, field in _COLUMNS.items() if isinstance(field, UtcField)}
_LARGEST = 512
MOST_ALONE = 128

InsertValues = tuple[Any, ...]
Value = TypeVar("Value")


def moment(time: datetime) -> Any:
    """A moment as a parameter of a statement."""
    return Prediction.created_at.db_value(time)


def inserted_row(
    key: str, text: str, score: Score, threshold: float | None, model_version: str | None, created_at: Any
) -> InsertValues:
    """The values of one prediction in the order of the insert; `created_at` comes from `moment`."""
    predicted_class, proba, probas, predicted_value = score
    listed = None if probas is None else canonical(probas)
    predicted = None if predicted_class is None else _label_text(predicted_class)
    return (key, text, proba, listed, predicted, predicted_value, threshold, model_version, created_at)


@lru_cache(maxsize=1024, typed=True)
def _label_text(label: Label) -> str:
    return canonical(label)


class Statements:
    """The statements on the tables of one database for few rows, each row with its own parameters. Rows are split into
    chunks."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._texts: dict[tuple[str, int], str] = {}

    def insert_alone(self, rows: Sequence[InsertValues]) -> dict[str, int]:
        """Outside a transaction: inserts at most MOST_ALONE rows with distinct ids in one statement, which commits by
        itself. Returns the row ids of the inserted rows by observation_id; SQLite inserts all or none."""
        try:
            cursor = self._execute("alone", self._write_alone, len(rows), [value for row in rows for value in row])
        except IntegrityError:
            return {}
        if not isinstance(self._database, SqliteDatabase):
            return {key: id_ for id_, key in cursor.fetchall()}
        # The statement has the file to itself, and SQLite counts up from the last id. RETURNING would switch
        # threads once per row.
        last: int = cursor.lastrowid
        return {row[0]: last - i for i, row in enumerate(reversed(rows))}

    def insert(self, rows: Sequence[InsertValues]) -> Iterator[tuple[int, str]]:
        """Inserts rows with distinct ids and yields (id, observation_id) of the new ones. The database decides which
        rows are new."""
        for chunk in chunks(rows):
            yield from self._run("insert", _insert, len(chunk), [value for row in chunk for value in row])

    def read(self, keys: Sequence[str], *, lock: bool = False) -> Iterator[dict[str, Any]]:
        """Yields the rows with these observation_ids by column. `lock` locks them until the end of the transaction."""
        locked = lock and self._database.for_update
        for chunk in chunks(keys):
            for row in self._run("lock" if locked else "read", partial(_read, lock=locked), len(chunk), chunk):
                values = dict(zip(_COLUMNS, row, strict=True))
                for name, time in _TIMES.items():
                    values[name] = time.python_value(values[name])
                yield values

    def label(self, column: str, id_: int, value: Any, labelled_at: datetime) -> None:
        """Sets the true label, in the column `true_class` or `true_value`, of the row with this id."""
        self._run(column, partial(_label, column), 1, [value, moment(labelled_at), id_])

    def correct(self, corrections: Sequence[InsertValues]) -> None:
        """Keeps replaced labels: the row id of the prediction, the replaced class and value, and when the old and the
        new label came."""
        for chunk in chunks(corrections):
            self._run("correct", _correct, len(chunk), [value for correction in chunk for value in correction])

    def _write_alone(self, size: int) -> Query:
        if isinstance(self._database, SqliteDatabase):
            return Prediction.insert_many([_EXAMPLE] * size, fields=_INSERTED)
        return _insert(size)

    def _run(self, name: str, write: Callable[[int], Any], size: int, values: Sequence[Any]) -> list[Any]:
        cursor = self._execute(name, write, size, values)
        return list(cursor.fetchall()) if cursor.description else []

    def _execute(self, name: str, write: Callable[[int], Any], size: int, values: Sequence[Any]) -> Any:
        text = self._texts.get((name, size))
        if text is None:
            text, written = self._database.get_sql_context().parse(write(size))
            if len(written) != len(values):
                raise RuntimeError(f"Peewee wrote the statement {name} with an unexpected number of parameters")
            self._texts[name, size] = text
        return self._database.execute_sql(text, values)


_EXAMPLE = (*inserted_row("", "", Score(), None, "", None)[:-1], datetime.now(UTC))


def _insert(size: int) -> Query:
    query: Any = Prediction.insert_many([_EXAMPLE] * size, fields=_INSERTED)
    arbitrated = query.on_conflict(conflict_target=[Prediction.observation_id], action="nothing")
    returning: Query = arbitrated.returning(Prediction.id, Prediction.observation_id)
    return returning


def _read(size: int, *, lock: bool) -> Any:
    rows = Prediction.select().where(Prediction.observation_id.in_([""] * size)).order_by(Prediction.id)
    return rows.for_update() if lock else rows


def _label(column: str, _: int) -> Query:
    label = {column: "" if column == "true_class" else 0.0, "labelled_at": datetime.now(UTC)}
    return Prediction.update(label).where(Prediction.id == 0)


def _correct(size: int) -> Query:
    fields = [
        LabelCorrection.prediction,
        LabelCorrection.replaced_class,
        LabelCorrection.replaced_value,
        LabelCorrection.labelled_at,
        LabelCorrection.replaced_at,
    ]
    return LabelCorrection.insert_many([(0, "", 0.0, datetime.now(UTC), datetime.now(UTC))] * size, fields=fields)


def chunks(items: Sequence[Value]) -> Iterator[Sequence[Value]]:
    """Splits rows into chunks whose sizes are powers of two, so that few texts are needed."""
    start = 0
    while start < len(items):
        size = min(_LARGEST, 1 << (len(items) - start).bit_length() - 1)
        yield items[start : start + size]
        start += size
