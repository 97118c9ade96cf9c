"""The log's columns from SQLite, which hands out text: integers as their digits, and real numbers to the bit, as the
integers that a power of two makes of them."""

import math
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from service.ledger import Array, Group, Rows, Snapshot
from service.log_columns import LogColumns, among

_MOMENT = len("2026-01-31T12:00:00.000000+00:00")
_MICROSECONDS_A_DAY = 86_400_000_000
_GREATEST_POWER = 960  # beyond, the power or the product would leave the range of a double


class SqliteColumns(LogColumns):
    """One writes at a time here, so ids and the numbers of changes become visible in their order."""

    in_order = True
    _same = "IS"

    def snapshot(self) -> Snapshot:
        following, last_id = self._one(
            "SELECT coalesce((SELECT max(id) FROM label_change), 0) + 1, coalesce((SELECT max(id) FROM prediction), 0)"
        )
        return Snapshot(following, following, last_id)

    def changed(self, since: int) -> Array:
        ids = self._one(f"SELECT group_concat(prediction_id) FROM label_change WHERE id >= {since}")[0]
        return np.unique(_integers(ids))

    def _probability_of_truth(self) -> str:
        return f"(SELECT value FROM json_each(probas) WHERE key = {self._label_of_truth()})"

    def _read(self, where: str) -> Rows:
        packed = [_Packed.of(real, 1.0 if real == "proba" else self._greatest(real, where)) for real in self._reals()]
        ids, codes, created, labelled, *found = self._one(
            f"SELECT group_concat(id), group_concat({self._code()}), group_concat(created_at, ''), "
            f"group_concat(coalesce(labelled_at, created_at), ''), {', '.join(each.columns for each in packed)} "
            f"FROM prediction WHERE {where}",
            *(value for each in packed for value in each.values_bound),
        )
        rows = _integers(ids)
        reals = [each.values(found[2 * i]) for i, each in enumerate(packed)]
        for i, each in enumerate(packed):
            self._restore(reals[i], rows, each.real, _integers(found[2 * i + 1]))
        return Rows(
            id=rows,
            created=self._moments("created_at", created, len(rows), where),
            labelled=self._moments("coalesce(labelled_at, created_at)", labelled, len(rows), where),
            **self._decoded(_integers(codes)),
            output=reals[0],
            target=reals[1] if len(reals) > 1 else None,
        )

    def _restore(self, values: Array, rows: Array, real: str, lost: Array) -> None:
        """Sets the values that were too small for the power of two, each time with a greater one."""
        while len(lost):
            where = among(lost)
            packed = _Packed.of(real, self._greatest(real, where))
            if packed.power == _GREATEST_POWER:
                for id_, value in self._all(f"SELECT id, {real} FROM prediction WHERE {where}"):
                    values[np.searchsorted(rows, id_)] = value
                return
            columns = f"group_concat(id), {packed.columns}"
            ids, tokens, rest = self._one(f"SELECT {columns} FROM prediction WHERE {where}", *packed.values_bound)
            values[np.searchsorted(rows, _integers(ids))] = packed.values(tokens)
            lost = _integers(rest)

    def _greatest(self, real: str, where: str) -> float:
        return float(self._one(f"SELECT coalesce(max(abs({real})), 0.0) FROM prediction WHERE {where}")[0])

    def _moments(self, column: str, text: str | None, count: int, where: str) -> Array:
        packed = (text or "").encode()
        digits = np.frombuffer(packed, np.uint8).reshape(count, _MOMENT) if len(packed) == count * _MOMENT else None
        if digits is not None and (digits[:, [10, 19, 26, 31]] == np.frombuffer(b"T.+0", np.uint8)).all():
            return _microseconds(digits)
        found = self._all(f"SELECT {column} FROM prediction WHERE {where} ORDER BY id")
        return np.array([round(datetime.fromisoformat(moment).timestamp() * 1e6) for (moment,) in found], np.int64)

    def _groups(self, column: str, where: str) -> list[Group]:
        value = (
            "(SELECT CASE WHEN type IN ('true', 'false') THEN type ELSE json_quote(value) END "
            f"FROM json_each(observation) WHERE key = {self._literal(column)})"
        )
        found = self._all(f"SELECT {value} AS value, group_concat(id) FROM prediction WHERE {where} GROUP BY 1")
        return [(None if value == "null" else value, _integers(ids)) for value, ids in found]

    def _literal(self, text: str) -> str:
        return "'" + text.replace("'", "''") + "'"


@dataclass(frozen=True, slots=True)
class _Packed:
    """A real expression as integers: times 2 to the `power`, which keeps every bit of values from `exact_from` on
    and leaves room for the greatest."""

    real: str
    power: int
    exact_from: float

    @classmethod
    def of(cls, real: str, greatest: float) -> "_Packed":
        power = min(63 - math.frexp(greatest)[1], _GREATEST_POWER)
        return cls(real, power, math.ldexp(1.0, 53 - power))

    @property
    def columns(self) -> str:
        """The integers, and the ids of values that were too small to be kept so; `values_bound` belong to it."""
        lost = f"CASE WHEN {self.real} <> 0.0 AND abs({self.real}) < ? THEN id END"
        return f"group_concat(CAST({self.real} * ? AS INTEGER)), group_concat({lost})"

    @property
    def values_bound(self) -> tuple[float, float]:
        """The power of two and the least exact value: bound, for SQLite rounds such literals."""
        return math.ldexp(1.0, self.power), self.exact_from

    def values(self, tokens: str | None) -> Array:
        return np.ldexp(_integers(tokens).astype(np.float64), -self.power)


def _integers(text: str | None) -> Array:
    return np.fromstring(text or "", dtype=np.int64, sep=",")


def _microseconds(digits: Array) -> Array:
    """Microseconds since 1970 of moments in UTC, given as their n times 32 characters."""
    numbers = (digits[:, :26].astype(np.float64) @ _WEIGHTS - _WEIGHTS.sum(axis=0) * ord("0")).astype(np.int64)
    days, places = np.unique(numbers[:, 0], return_inverse=True)
    texts = [f"{day // 10_000:04}-{day // 100 % 100:02}-{day % 100:02}" for day in days.tolist()]
    first = np.array(texts, "datetime64[D]").astype(np.int64) * _MICROSECONDS_A_DAY
    return np.asarray(first[places] + numbers[:, 1])


def _weights(layout: str) -> Array:
    """What each character of a moment counts in the number YYYYMMDD and in the microseconds of its day."""
    weights = np.zeros((len(layout), 2))
    units = {"Y": (0, 10_000), "O": (0, 100), "D": (0, 1), "H": (1, 3_600_000_000), "M": (1, 60_000_000)}
    units |= {"S": (1, 1_000_000), "f": (1, 1)}
    for mark, (column, unit) in units.items():
        places = [i for i, character in enumerate(layout) if character == mark]
        weights[places, column] = [unit * 10**power for power in range(len(places) - 1, -1, -1)]
    return weights


_WEIGHTS = _weights("YYYY-OO-DD.HH.MM.SS.ffffff")
