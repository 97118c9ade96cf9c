"""Reads the log in blocks of rows, for pages, streams, exports and erasure.

A block is one short statement, so that a reader never delays a checkpoint, a vacuum or a writer. The database packs the
rows, or each column, into one text, which takes less time in Python than a tuple per row."""

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, NamedTuple

from peewee import Database, SqliteDatabase

from service.prediction.filter import EVERYTHING, PredictionFilter
from service.prediction.moment import moment_of
from service.prediction.observation import canonical
from service.storage.reading.logged_columns import ARRAYS, REALS, LoggedColumns
from service.storage.reading.logged_row import LoggedRow
from service.storage.tables import LabelCorrection

MOST_ROWS = 2_000

_UNIT, _RECORD = "\x1f", "\x1e"  # JSON holds neither of them, in or between its tokens
_RECENT_IDS = 100_000


class Snapshot(NamedTuple):
    """The state of the log at one moment; it excludes rows that are committed later. `gaps` are pairs of neighbouring
    ids between which ids were missing."""

    last_id: int
    gaps: tuple[tuple[int, int], ...] = ()

    def holds(self, id_: int) -> bool:
        """Whether a row with this id may have existed."""
        place = bisect_right(self.gaps, (id_, 0)) - 1
        return not self.gaps or not self.gaps[place][0] < id_ < self.gaps[place][1]


class Block(NamedTuple):
    """The matching rows of a block, and the key at its end; None at the end of the log."""

    rows: list[LoggedRow]
    end: int | None


Source = tuple[str, list[Any]]  # of an SQL query: the text after FROM, and its values


class LogReader(ABC):
    """Reads through an open connection. The subclasses hold what differs between the databases."""

    _kinds: ClassVar[Mapping[str, str]]
    _packed: str

    def __init__(self, database: Database) -> None:
        self._database = database

    @abstractmethod
    def snapshot(self) -> Snapshot:
        """The present state of the log."""

    def older(
        self,
        wanted: PredictionFilter = EVERYTHING,
        than: int | None = None,
        size: int = MOST_ROWS,
        at: Snapshot | None = None,
    ) -> Block:
        """The next `size` rows with keys below `than`, in descending order, reduced to those that match `wanted` and
        existed `at` a snapshot."""
        return self._block("<", "DESC", wanted, than, size, at)

    def newer(
        self,
        wanted: PredictionFilter = EVERYTHING,
        than: int | None = None,
        size: int = MOST_ROWS,
        at: Snapshot | None = None,
    ) -> Block:
        """The same with keys above `than`, in ascending order."""
        return self._block(">", "ASC", wanted, than, size, at)

    def blocks(
        self, wanted: PredictionFilter = EVERYTHING, size: int = MOST_ROWS, at: Snapshot | None = None
    ) -> Iterator[Block]:
        """All blocks in ascending order of keys."""
        end: int | None = None
        while True:
            block = self.newer(wanted, end, size, at)
            yield block
            if block.end is None:
                return
            end = block.end

    def columns(
        self, wanted: PredictionFilter = EVERYTHING, size: int = MOST_ROWS, at: Snapshot | None = None
    ) -> Iterator[LoggedColumns]:
        """The blocks of `blocks` by column, which takes less time."""
        end: int | None = None
        while True:
            block = self._columns(self._source(">", "ASC", wanted, end, size, at), size)
            if at is not None and at.gaps and not all(map(at.holds, block.ids())):
                block = LoggedColumns.of_rows(*self.newer(wanted, end, size, at))
            yield block
            if block.end is None:
                return
            end = block.end

    def corrections(self, first: int, last: int) -> dict[int, list[str]]:
        """The replaced labels as JSON objects, oldest first, by prediction key from `first` to `last`."""
        query = LabelCorrection.select(LabelCorrection.prediction.alias("of"), *_CORRECTION)
        between = query.where(LabelCorrection.prediction.between(first, last)).order_by(LabelCorrection.id)
        found: dict[int, list[str]] = {}
        for row in between.dicts().execute(self._database):
            found.setdefault(row.pop("of"), []).append(_object(row))
        return found

    def _block(
        self, side: str, order: str, wanted: PredictionFilter, than: int | None, size: int, at: Snapshot | None
    ) -> Block:
        line = f" || '{_UNIT}' || ".join(map(self._text, LoggedRow._fields))
        source, values = self._source(side, order, wanted, than, size, at)
        last, packed = "min(id)" if order == "DESC" else "max(id)", self._packed.format(line=line)
        count, end, text = self._all(f"SELECT count(*), {last}, {packed} FROM {source}", values)[0]
        rows = [LoggedRow.of(line.split(_UNIT)) for line in text.split(_RECORD)] if text else []
        seen = rows if at is None or not at.gaps else [row for row in rows if at.holds(int(row.id))]
        return Block(seen, int(end) if count == size else None)

    @abstractmethod
    def _columns(self, source: Source, size: int) -> LoggedColumns:
        """A block of `size` rows by column."""

    def _source(
        self, side: str, order: str, wanted: PredictionFilter, than: int | None, size: int, at: Snapshot | None
    ) -> Source:
        """The next `size` rows, with a column `matches`."""
        last_id = at.last_id if at else None
        within, keys = self._all_of(
            [(f"id {side} {{}}", than), ("id <= {}", last_id), ("observation_id = {}", wanted.observation_id)]
        )
        condition, values = self._condition(wanted)
        rows = f"SELECT *, {condition} AS matches FROM prediction WHERE {within} ORDER BY id {order} LIMIT {size}"
        return f"({rows}) AS block", [*values, *keys]

    def _text(self, name: str) -> str:
        """A column of the log as an SQL expression for JSON text."""
        return self._kinds[_KINDS[name]].format(name)

    def _condition(self, wanted: PredictionFilter) -> tuple[str, list[Any]]:
        since, until = wanted.selection.since, wanted.selection.until
        condition, values = self._all_of(
            [
                ("model_version = {}", wanted.selection.model_version),
                ("predicted_class = {}", wanted.predicted_class),
                ("created_at >= {}", None if since is None else moment_of(since, "microseconds")),
                ("created_at < {}", None if until is None else moment_of(until, "microseconds")),
            ]
        )
        if wanted.labelled is not None:
            condition += f" AND labelled_at IS {'NOT ' if wanted.labelled else ''}NULL"
        return condition, values

    def _all_of(self, conditions: Sequence[tuple[str, Any]]) -> tuple[str, list[Any]]:
        given = [(text.format(self._database.param), value) for text, value in conditions if value is not None]
        return " AND ".join(["TRUE", *(text for text, _ in given)]), [value for _, value in given]

    def _all(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return list(self._database.execute_sql(statement, values).fetchall())


class SqliteReader(LogReader):
    """SQLite has one writer at a time, so ids become visible in order, and it gives none again."""

    _kinds: ClassVar[Mapping[str, str]] = {
        "key": "{}",
        "json": "coalesce({}, 'null')",
        "real": "iif({0} IS NULL, 'null', printf('%!.20e', {0}))",
        "text": "json_quote({})",
        "moment": "json_quote({})",
    }
    _packed = f"group_concat({{line}}, '{_RECORD}') FILTER (WHERE matches)"

    def snapshot(self) -> Snapshot:
        return Snapshot(self._all("SELECT coalesce(max(id), 0) FROM prediction")[0][0])

    def _columns(self, source: Source, size: int) -> LoggedColumns:
        """The real numbers come as they are: a number takes longer as a text. Both statements see the same rows."""
        rows, values = source
        arrays = ", ".join(
            f"'[' || group_concat({self._text(name)}, ',') FILTER (WHERE matches) || ']'" for name in ARRAYS
        )
        with self._database.atomic("DEFERRED"):
            count, end, *texts = self._all(f"SELECT count(*), max(id), {arrays} FROM {rows}", values)[0]
            found = self._all(f"SELECT {', '.join(REALS)} FROM {rows} WHERE matches", values)
        reals = [[row[place] for row in found] for place in range(len(REALS))]
        return LoggedColumns.of(texts, reals, end if count == size else None)


class PostgresqlReader(LogReader):
    """PostgreSQL commits in any order: an id that is missing below the greatest may still appear."""

    _kinds: ClassVar[Mapping[str, str]] = {
        "key": "{}::text",
        "json": "coalesce({}::text, 'null')",
        "real": "coalesce({}::text, 'null')",
        "text": "coalesce(to_json({})::text, 'null')",
        "moment": "coalesce('\"' || to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US')"
        " || '+00:00\"', 'null')",
    }
    _packed = f"string_agg({{line}}, '{_RECORD}') FILTER (WHERE matches)"

    def snapshot(self) -> Snapshot:
        found = self._all(
            "SELECT before, id FROM (SELECT id, lag(id) OVER (ORDER BY id) AS before, lead(id) OVER (ORDER BY id) AS "
            f"after FROM (SELECT id FROM prediction ORDER BY id DESC LIMIT {_RECENT_IDS}) AS recent) AS neighbours "
            "WHERE id > before + 1 OR after IS NULL ORDER BY id"
        )
        last_id = found[-1][1] if found else 0
        gaps = tuple((before, id_) for before, id_ in found if before is not None and id_ > before + 1)
        return Snapshot(last_id, gaps)

    def _columns(self, source: Source, size: int) -> LoggedColumns:
        rows, values = source
        columns = ", ".join(map(self._array, (*ARRAYS, *REALS)))
        count, end, *found = self._all(f"SELECT count(*), max(id), {columns} FROM {rows}", values)[0]
        reals = [numbers or () for numbers in found[len(ARRAYS) :]]
        return LoggedColumns.of(found[: len(ARRAYS)], reals, end if count == size else None)

    def _array(self, name: str) -> str:
        """An SQL expression for a column: an array of real numbers, because the server's JSON loses the sign of -0.0,
        or else a JSON array. The server turns a whole column into JSON in less time than one value after another."""
        if name in REALS:
            return f"array_agg({name}) FILTER (WHERE matches)"
        if _KINDS[name] == "json":
            return f"'[' || string_agg({self._text(name)}, ',') FILTER (WHERE matches) || ']'"
        return f"(json_agg({name}) FILTER (WHERE matches))::text"


def log_reader(database: Database) -> LogReader:
    """The reader for a database of this kind."""
    return SqliteReader(database) if isinstance(database, SqliteDatabase) else PostgresqlReader(database)


_KINDS = {
    "id": "key",
    **dict.fromkeys(("observation_id", "observation", "probas", "predicted_class", "true_class"), "json"),
    **dict.fromkeys(("proba", "predicted_value", "threshold", "true_value"), "real"),
    "model_version": "text",
    **dict.fromkeys(("created_at", "labelled_at"), "moment"),
}
_CORRECTION = (
    LabelCorrection.replaced_class,
    LabelCorrection.replaced_value,
    LabelCorrection.labelled_at,
    LabelCorrection.replaced_at,
)


def _object(row: Mapping[str, Any]) -> str:
    return "{" + ",".join(f'"{name}":{_json(name, value)}' for name, value in row.items()) + "}"


def _json(name: str, value: Any) -> str:
    if isinstance(value, datetime):
        return f'"{value.isoformat(timespec="microseconds")}"'
    return value if name == "replaced_class" and value is not None else canonical(value)
