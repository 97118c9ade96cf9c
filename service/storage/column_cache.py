"""The numeric columns of the log in memory. After the first read, only new, changed and erased rows are read.

Changes are found by the database's order of transactions, not by clocks. So the next read sees a label that was
committed late, a correction, an erased row, and a row that was committed after rows with higher ids."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol, Self

import numpy as np

from service.pacing import give_way

Array = np.ndarray[Any, np.dtype[Any]]
Group = tuple[str | None, Array]

_IDS_AT_ONCE = 5_000
_MAX_ROWS_BY_ID = 50_000
_RECENT_IDS = 10_000


@dataclass(frozen=True, slots=True)
class Rows:
    """n predictions as arrays of shape (n,), by ascending `id`.

    `created` and `labelled` are microseconds since 1970 (UTC); `model_key` is the index of the row's model version and
    threshold in the source's `model_keys`; `predicted` and `truth` are indices of the task's classes, -1 for none (0
    for a number). `output` is the probability of the positive class (binary) or of the predicted class (multiclass),
    or the predicted value; `target` is the probability of the true class (multiclass) or the true value. `levels`, of
    shape (k,), are the distinct outputs in ascending order, and maybe more; `level` is the place of the output there.
    """

    id: Array
    created: Array
    labelled: Array
    model_key: Array
    predicted: Array
    truth: Array
    output: Array
    target: Array | None = None
    level: Array | None = None
    levels: Array | None = None

    def __len__(self) -> int:
        return len(self.id)

    @property
    def is_labelled(self) -> Array:
        """A mask of the rows with a true class or value that this model knows."""
        return (self.truth >= 0) & (self.predicted >= 0)

    def take(self, chosen: Array) -> Self:
        """The rows of a mask or of indices; the same object if the mask selects all."""
        if chosen.dtype == bool:
            if chosen.all():
                return self
            chosen = np.flatnonzero(chosen)
        return replace(self, **{name: _given(array.take(chosen)) for name, array in self._columns()})

    @classmethod
    def joined(cls, parts: Sequence["Rows"]) -> "Rows":
        """The rows of all parts, which have the same levels, by ascending id."""
        columns = zip(*(part._columns() for part in parts), strict=True)
        arrays = {same[0][0]: _given(np.concatenate([array for _, array in same])) for same in columns}
        rows = replace(parts[0], **arrays)
        in_order = bool((np.diff(rows.id) > 0).all())
        return rows if in_order else rows.take(np.argsort(rows.id, kind="stable"))

    def with_levels(self) -> "Rows":
        """The rows with the levels of their outputs."""
        levels, level = np.unique(self.output, return_inverse=True)
        return replace(self, levels=levels, level=level.astype(np.int32))

    def extended(self, more: "Rows") -> "Rows":
        """These rows, which have levels, and more rows, which have none."""
        assert self.levels is not None
        assert self.level is not None
        known, levels = self, self.levels
        found = np.unique(more.output)
        place = np.searchsorted(levels, found)
        is_new = place == np.searchsorted(levels, found, side="right")
        if is_new.any():
            moves = _given(np.searchsorted(found[is_new], levels).astype(np.int32))
            levels = _given(np.insert(levels, place[is_new], found[is_new]))
            known = replace(self, levels=levels, level=_given(self.level + moves[self.level]))
        level = np.searchsorted(levels, more.output).astype(np.int32)
        return Rows.joined([known, replace(more, levels=levels, level=level)])

    def _columns(self) -> Iterator[tuple[str, Array]]:
        """The arrays of shape (n,)."""
        for field in fields(self):
            array = getattr(self, field.name)
            if array is not None and field.name != "levels":
                yield field.name, array


@dataclass(frozen=True, slots=True)
class Grouping:
    """The value of a column per row, as JSON text or None: `values[codes[i]]` is that of `ids[i]`; ids ascend."""

    values: tuple[str | None, ...]
    ids: Array
    codes: Array

    @classmethod
    def empty(cls) -> Self:
        return cls((), np.array([], np.int64), np.array([], np.int32))

    def codes_of(self, ids: Array) -> Array:
        """The codes of these ids, which must all be known."""
        return self.codes[np.searchsorted(self.ids, ids)]

    def missing(self, ids: Array) -> Array:
        """The ids that are not known."""
        return ids[~np.isin(ids, self.ids, assume_unique=True)]

    def without(self, ids: Array) -> Self:
        """The grouping without these rows."""
        kept = ~np.isin(self.ids, ids)
        return type(self)(self.values, self.ids[kept], self.codes[kept])

    def extended(self, groups: Iterable[Group]) -> Self:
        """The grouping with more rows; a known row gets its new value."""
        place = {value: i for i, value in enumerate(self.values)}
        found = [(place.setdefault(value, len(place)), ids) for value, ids in groups]
        ids = np.concatenate([np.array([], np.int64), *(ids for _, ids in found)])
        codes = np.concatenate([np.array([], np.int32), *(np.full(len(ids), code, np.int32) for code, ids in found)])
        kept = self.without(ids)
        ids, codes = np.concatenate([kept.ids, ids]), np.concatenate([kept.codes, codes])
        order = np.argsort(ids, kind="stable")
        return type(self)(tuple(place), ids[order], codes[order])


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of the log at one moment: the greatest id, the lowest open transaction number `xmin`, and the next
    number `xmax`."""

    xmin: int
    xmax: int
    last_id: int


class Source(Protocol):
    """Reads the rows. `model_keys` are the (model version, threshold) found so far; `in_order` is True if ids become
    visible in ascending order."""

    model_keys: list[tuple[str | None, float | None]]
    in_order: bool

    def snapshot(self) -> Snapshot: ...
    def changed(self, since: int) -> Array: ...
    def block_end(self, after: int) -> int | None: ...
    def between(self, after: int, end: int) -> Rows: ...
    def with_ids(self, ids: Array) -> Rows: ...
    def groups_between(self, column: str, after: int, end: int) -> list[Group]: ...
    def groups_with_ids(self, column: str, ids: Array) -> list[Group]: ...


class ColumnCache:
    """All predictions of a source. For one caller at a time."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._groupings: dict[str, Grouping] = {}
        self._rows: Rows | None = None
        self._since = 0
        self._settled = 0
        self._settling: list[Snapshot] = []

    @property
    def model_keys(self) -> list[tuple[str | None, float | None]]:
        """The (model version, threshold) of each `model_key`."""
        return self._source.model_keys

    def rows(self) -> Rows:
        """The present rows; the same object as before if nothing has changed."""
        snapshot = self._source.snapshot()
        if self._rows is None or snapshot.xmin < self._since:
            self._groupings, self._settling, self._settled = {}, [], 0
            self._rows = Rows.joined([*self._blocks(0), self._source.with_ids(np.array([], np.int64))]).with_levels()
        else:
            self._rows = self._updated(self._rows)
        self._since = snapshot.xmin
        self._settled = self._settled_by(snapshot)
        return self._rows

    def grouping(self, column: str) -> Grouping:
        """The values of a column of the observation for the last result of `rows`."""
        assert self._rows is not None
        grouping = self._groupings.get(column, Grouping.empty())
        missing = grouping.missing(self._rows.id)
        if len(missing):
            self._groupings[column] = grouping = grouping.extended(self._groups(column, missing))
        return grouping

    def _updated(self, rows: Rows) -> Rows:
        """Keeps settled rows that have not changed, and reads the others again."""
        changed = self._source.changed(self._since)
        stale = (rows.id > self._settled) | np.isin(rows.id, changed)
        early = changed[changed <= self._settled]
        fresh = [*self._blocks(self._settled), *map(self._source.with_ids, _parts(early))]
        if not stale.any() and not any(map(len, fresh)):
            return rows
        self._groupings = {name: grouping.without(changed) for name, grouping in self._groupings.items()}
        return rows.take(~stale).extended(Rows.joined(fresh)) if fresh else rows.take(~stale)

    def _blocks(self, after: int) -> Iterator[Rows]:
        while (end := self._source.block_end(after)) is not None:
            yield self._source.between(after, end)
            give_way()
            after = end

    def _groups(self, column: str, missing: Array) -> Iterator[Group]:
        if len(missing) <= _MAX_ROWS_BY_ID:
            for ids in _parts(missing):
                yield from self._source.groups_with_ids(column, ids)
            return
        after = int(missing[0]) - 1
        while (end := self._source.block_end(after)) is not None:
            yield from self._source.groups_between(column, after, end)
            give_way()
            after = end

    def _settled_by(self, snapshot: Snapshot) -> int:
        """The id up to which no new rows can appear: all transactions that were open when it was the greatest have
        ended. Transactions with an id but no number yet are among the last few ids, which are always read again."""
        if self._source.in_order:
            return snapshot.last_id
        self._settling.append(snapshot)
        over = [past.last_id for past in self._settling if past.xmax <= snapshot.xmin]
        self._settling = self._settling[len(over) :]
        return max(self._settled, over[-1] - _RECENT_IDS) if over else self._settled


def _given(array: Array) -> Array:
    """An array that took time to make. Then others may run."""
    give_way()
    return array


def _parts(ids: Array) -> Iterator[Array]:
    for i in range(0, len(ids), _IDS_AT_ONCE):
        yield ids[i : i + _IDS_AT_ONCE]
