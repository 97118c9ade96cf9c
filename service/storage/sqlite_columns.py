"""The columns of the log from SQLite, each packed into one text. A probability is packed as an exact integer."""

from datetime import datetime

import numpy as np

from service.storage.column_cache import Array, Group, Rows, Snapshot
from service.storage.columns import LogColumns

_TIME = np.dtype([("time", "S26"), ("zone", "S6")])  # 2026-01-31T12:00:00.000000 +00:00
# A probability times 2 ** 62 is an integer that fits into 64 bits, and exact for probabilities from 2 ** -10 on.
_POWER = 62
_LEAST = 2.0**-10


class SqliteColumns(LogColumns):
    """SQLite has one writer at a time, so ids and change numbers become visible in ascending order."""

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
        reals = self._reals()
        packed = "".join(f", group_concat(CAST({real} * ? AS INTEGER))" for real in reals)
        # All statements must see the same rows. The transaction ends before the parsing: it delays checkpoints.
        with self._database.atomic("DEFERRED"):
            codes, created, labelled, *integers = self._one(
                f"SELECT group_concat(id * {self._codes} + {self._code()}), group_concat(created_at, ''), "
                f"group_concat(coalesce(labelled_at, created_at), ''){packed} FROM prediction WHERE {where}",
                *[2.0**_POWER] * len(reals),
            )
            others = [self._others(real, where) for real in reals]
        ids, codes = np.divmod(_integers(codes), self._codes)
        output, *target = map(_reals, [ids] * len(reals), integers, others)
        return Rows(
            id=ids,
            created=self._times("created_at", created, len(ids), where),
            labelled=self._times("coalesce(labelled_at, created_at)", labelled, len(ids), where),
            **self._decoded(codes),
            output=output,
            target=target[0] if target else None,
        )

    def _others(self, real: str, where: str) -> list[tuple[int, float]]:
        """The ids and the numbers of the rows whose number is not exact as an integer."""
        inexact = f"{real} <> 0 AND abs({real}) NOT BETWEEN {_LEAST} AND 1"
        return self._all(f"SELECT id, {real} FROM prediction WHERE {where} AND {inexact}")

    def _times(self, column: str, packed: str | None, count: int, where: str) -> Array:
        """Microseconds since 1970. Times in another format than that of this service are read one by one."""
        content = (packed or "").encode()
        if len(content) == count * _TIME.itemsize:
            times = np.frombuffer(content, _TIME)
            if (times["zone"] == b"+00:00").all():
                return times["time"].astype("datetime64[us]").astype(np.int64)
        found = self._all(f"SELECT {column} FROM prediction WHERE {where} ORDER BY id")
        return np.array([round(datetime.fromisoformat(time).timestamp() * 1e6) for (time,) in found], np.int64)

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


def _integers(text: str | None) -> Array:
    return np.fromstring(text or "", dtype=np.int64, sep=",")


def _reals(ids: Array, integers: str | None, others: list[tuple[int, float]]) -> Array:
    """The numbers of the rows `ids`, which ascend. `others` holds those that are not exact as an integer."""
    numbers = np.ldexp(_integers(integers).astype(np.float64), -_POWER)
    if others:
        places, values = zip(*others, strict=True)
        numbers[np.searchsorted(ids, places)] = values
    return numbers
