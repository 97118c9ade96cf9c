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
        codes, created, labelled, *tokens = self._one(
            f"SELECT group_concat(id * {self._codes} + {self._code()}), group_concat(created_at, ''), "
            f"group_concat(coalesce(labelled_at, created_at), ''), {', '.join(each.column for each in packed)} "
            f"FROM prediction WHERE {where}",
            *(each.factor for each in packed),
        )
        ids, codes = np.divmod(_integers(codes), self._codes)
        places = self._decoded(codes)
        reals = [each.values(_integers(text)) for each, text in zip(packed, tokens, strict=True)]
        for each, values in zip(packed, reals, strict=True):
            known = np.ones(len(ids), dtype=bool) if each is packed[0] else places["truth"] >= 0
            self._restore(values, ids, each.real, ids[known & (np.abs(values) < each.exact_from)])
        return Rows(
            id=ids,
            created=self._moments("created_at", created, len(ids), where),
            labelled=self._moments("coalesce(labelled_at, created_at)", labelled, len(ids), where),
            **places,
            output=reals[0],
            target=reals[1] if len(reals) > 1 else None,
        )

    def _restore(self, values: Array, rows: Array, real: str, lost: Array) -> None:
        """Sets the values that were too small for the power of two, each time with a greater one; those that are 0
        stay."""
        while len(lost) and (greatest := self._greatest(real, among(lost))):
            packed = _Packed.of(real, greatest)
            if packed.power == _GREATEST_POWER:
                for id_, value in self._all(f"SELECT id, {real} FROM prediction WHERE {among(lost)}"):
                    values[np.searchsorted(rows, id_)] = value
                return
            text = f"SELECT group_concat(id), {packed.column} FROM prediction WHERE {among(lost)}"
            ids, tokens = self._one(text, packed.factor)
            found, lost = packed.values(_integers(tokens)), _integers(ids)
            values[np.searchsorted(rows, lost)] = found
            lost = lost[np.abs(found) < packed.exact_from]

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
            "(SELECT CASE type WHEN 'true' THEN type WHEN 'false' THEN type WHEN 'real' THEN printf('%!.17g', value) "
            "ELSE json_quote(value) END "
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
    def column(self) -> str:
        """The integers, by the `factor`: bound, for SQLite rounds such literals."""
        return f"group_concat(CAST({self.real} * ? AS INTEGER))"

    @property
    def factor(self) -> float:
        return math.ldexp(1.0, self.power)

    def values(self, integers: Array) -> Array:
        return np.ldexp(integers.astype(np.float64), -self.power)


def _integers(text: str | None) -> Array:
    return np.fromstring(text or "", dtype=np.int64, sep=",")


def _microseconds(digits: Array) -> Array:
    """Microseconds since 1970 of moments in UTC, given as their n times 32 characters."""

    def pair(at: int) -> Array:
        return np.asarray(digits[:, at].astype(np.int64) * 10 + digits[:, at + 1] - 11 * ord("0"))

    clock = ((pair(11) * 60 + pair(14)) * 60 + pair(17)) * 1_000_000 + pair(20) * 10_000 + pair(22) * 100 + pair(24)
    days, places = np.unique(pair(0) * 1_000_000 + pair(2) * 10_000 + pair(5) * 100 + pair(8), return_inverse=True)
    texts = [f"{day // 10_000:04}-{day // 100 % 100:02}-{day % 100:02}" for day in days.tolist()]
    first = np.array(texts, "datetime64[D]").astype(np.int64) * _MICROSECONDS_A_DAY
    return np.asarray(first[places] + clock)
