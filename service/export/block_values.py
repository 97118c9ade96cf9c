"""The values of a block of the log by column of the table, decoded with one call for each column of the log."""

import json
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from service.export.table_schema import column_name, observed
from service.storage.reading.logged_columns import ARRAYS, LoggedColumns

Values = Mapping[str, Sequence[Any]]

_TYPES: Mapping[str, Any] = {
    **dict.fromkeys(ARRAYS, list[Any]),
    "id": list[int],
    **dict.fromkeys(("model_version", "created_at", "labelled_at"), list[str | None]),
}
_DECODERS = {name: msgspec.json.Decoder[list[Any]](kind) for name, kind in _TYPES.items() if name != "observation"}


class BlockValues(NamedTuple):
    """The n values of each column as Python's JSON values: of the columns of the log, of those of the observations and
    of the probabilities of several classes. A column may be missing if it is null in all rows."""

    own: Values
    observed: Values
    probas: Values


class BlockDecoder:
    """Decodes blocks. It remembers the members of the observations: with them a whole block is decoded in one call.
    What that decoder refuses is decoded row by row: unknown members, a lone surrogate, an observation that is no
    object."""

    def __init__(self) -> None:
        self._columns: dict[str, str] = {}  # by member
        self._decoder: msgspec.json.Decoder[list[Any]] | None = None

    def decode(self, block: LoggedColumns) -> BlockValues:
        """The values of a block."""
        own: dict[str, Sequence[Any]] = {name: _values(block, name) for name in _DECODERS}
        rows = own.pop("probas")
        by_label = _by_column([row or {} for row in rows]) if any(rows) else {}
        probas = {f"probas.{label}": values for label, values in by_label.items()}
        return BlockValues({**own, **block.reals}, self._observed(block), probas)

    def _observed(self, block: LoggedColumns) -> Values:
        if self._decoder is not None:
            try:
                rows = self._decoder.decode(block.arrays["observation"])
            except msgspec.MsgspecError:
                pass
            else:
                return {
                    column: list(map(attrgetter(_field(place)), rows))
                    for place, column in enumerate(self._columns.values())
                }
        observations = json.loads(block.arrays["observation"])
        self._learn(observations)
        return _by_column(list(map(observed, observations)))

    def _learn(self, observations: Sequence[Any]) -> None:
        known = len(self._columns)
        for observation in observations:
            if isinstance(observation, dict):
                self._columns.update((name, column_name(name)) for name in observation if name not in self._columns)
        if len(self._columns) > known:
            self._decoder = _decoder(list(self._columns))


def _decoder(names: Sequence[str]) -> "msgspec.json.Decoder[list[Any]] | None":
    """Decodes a list of objects with no other members than these; None if a member has a name that needs an escape."""
    fields = [_field(place) for place in range(len(names))]
    try:
        row = msgspec.defstruct(
            "Observation",
            [(field, Any, None) for field in fields],
            rename=dict(zip(fields, names, strict=True)),
            forbid_unknown_fields=True,
            gc=False,
        )
    except ValueError:
        return None
    return msgspec.json.Decoder(list[row])  # type: ignore[valid-type]


def _field(place: int) -> str:
    return f"f{place}"


def _values(block: LoggedColumns, name: str) -> list[Any]:
    try:
        values: list[Any] = _DECODERS[name].decode(block.arrays[name])
    except msgspec.MsgspecError:
        values = json.loads(block.arrays[name])
    return values


def _by_column(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}
