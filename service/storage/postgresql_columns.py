"""The columns of the log from PostgreSQL, packed by the server in its exact binary form."""

import numpy as np

from service.storage.column_cache import Array, Group, Rows, Snapshot
from service.storage.columns import LogColumns

_EPOCH = 946_684_800_000_000  # PostgreSQL counts microseconds from 2000


class PostgresqlColumns(LogColumns):
    """PostgreSQL commits in any order; transaction numbers and snapshots tell which rows may still appear."""

    in_order = False
    _same = "IS NOT DISTINCT FROM"

    def _probability_of_truth(self) -> str:
        return f"CAST(probas ->> {self._label_of_truth()} AS DOUBLE PRECISION)"

    def snapshot(self) -> Snapshot:
        xmin, following, last_id = self._one(
            "SELECT txid_snapshot_xmin(now), txid_snapshot_xmax(now), coalesce((SELECT max(id) FROM prediction), 0) "
            "FROM txid_current_snapshot() AS now"
        )
        return Snapshot(int(xmin), int(following), int(last_id))

    def changed(self, since: int) -> Array:
        ids = f"SELECT DISTINCT prediction_id AS id FROM label_change WHERE txid >= {since}"
        return _integers(self._one(f"SELECT string_agg(int8send(id), '') FROM ({ids}) AS changed")[0])

    def _read(self, where: str) -> Rows:
        reals = self._reals()
        parts = [
            "int8send(id)",
            f"int8send({self._code()})",
            "timestamptz_send(created_at)",
            "timestamptz_send(coalesce(labelled_at, created_at))",
            *(f"float8send({real})" for real in reals),
        ]
        packed = self._one(f"SELECT string_agg({' || '.join(parts)}, '') FROM prediction WHERE {where}")[0] or b""
        names = ["id", "code", "created", "labelled", "output", "target"][: 4 + len(reals)]
        kinds = [(name, ">i8" if i < 4 else ">f8") for i, name in enumerate(names)]
        table = np.frombuffer(packed, dtype=kinds)
        columns = {name: table[name].astype(kind[1:]) for name, kind in kinds}
        codes = self._decoded(columns.pop("code"))
        columns["created"] += _EPOCH
        columns["labelled"] += _EPOCH
        return Rows(**columns, **codes)

    def _groups(self, column: str, where: str) -> list[Group]:
        value = f"CAST(observation -> {self._literal(column)} AS TEXT)"
        found = self._all(
            f"SELECT {value} AS value, string_agg(int8send(id), '') FROM prediction WHERE {where} GROUP BY 1"
        )
        return [(None if value == "null" else value, _integers(ids)) for value, ids in found]

    def _literal(self, text: str) -> str:
        return "'" + text.replace("'", "''").replace("%", "%%") + "'"


def _integers(packed: bytes | None) -> Array:
    return np.frombuffer(packed or b"", dtype=">i8").astype(np.int64)
