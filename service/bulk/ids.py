"""The ids of the rows of a table, checked at once."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from serialize.compiler.runtime.columns import Mask
from service.bulk.cells import of_arrow
from service.errors import Fault, InvalidBody, shown
from service.prediction.observation import MAX_ID_LENGTH, parse_id

_INTEGER = "^(0|-?[1-9][0-9]{0,18})$"
_INT64 = range(-(2**63), 2**63)
_EXACT = 2.0**53
_EXPECTED_INTEGER = "an integer, like the ids of the first rows"


class CheckedIds(NamedTuple):
    """n ids as strings or integers, which of them are surely right, and the faults of the others by their place."""

    values: pa.Array
    is_right: Mask
    faults: dict[int, list[Fault]]


@dataclass(frozen=True, slots=True)
class IdChecker:
    """Checks the column of ids. `are_integers` says whether the texts of a CSV file are integers."""

    are_integers: bool = False

    def check(self, values: pa.Array, *, is_csv: bool) -> CheckedIds:
        """The n ids of a column, by the rules of POST /predict."""
        if pa.types.is_dictionary(values.type):
            values = values.dictionary_decode()
        ids, is_right = _integers(values) if is_csv and self.are_integers else _checked(values)
        faults: dict[int, list[Fault]] = {}
        for place in np.flatnonzero(~is_right).tolist():
            faults[place] = self._faults(values[place].as_py(), is_csv=is_csv)
        return CheckedIds(ids, is_right, faults)

    def _faults(self, value: Any, *, is_csv: bool) -> list[Fault]:
        if is_csv and self.are_integers and value is not None:
            detail = f"id: expected {_EXPECTED_INTEGER}; got {shown(value)}"
            return [Fault("/id", detail, value, _EXPECTED_INTEGER, "id")]
        try:
            parse_id(of_arrow(value))
        except InvalidBody as error:
            return list(error.faults)
        raise AssertionError(f"the id {value!r} is right and was refused")


def look_like_integers(values: pa.Array) -> bool:
    """Whether all texts of a column that are not empty are 64-bit integers in their usual form."""
    return bool(_integers(values.filter(pc.not_equal(values, "")))[1].all())


def _integers(texts: pa.Array) -> tuple[pa.Array, Mask]:
    is_right = pc.match_substring_regex(texts, _INTEGER)
    texts = pc.if_else(is_right, texts, pa.scalar(None, texts.type))
    try:
        ids = pc.cast(texts, pa.int64())
    except pa.ArrowInvalid:  # one with 19 digits is too large
        ids = pa.array([_integer(text) for text in texts.to_pylist()], pa.int64())
    return ids, _mask(ids.is_valid())


def _integer(text: str | None) -> int | None:
    return int(text) if text is not None and int(text) in _INT64 else None


def _checked(values: pa.Array) -> tuple[pa.Array, Mask]:
    kind = values.type
    if pa.types.is_integer(kind):
        is_right = values.is_valid() if kind != pa.uint64() else pc.less_equal(values, pa.scalar(2**63 - 1, kind))
        return pc.cast(values, pa.int64(), safe=False), _mask(is_right)
    if pa.types.is_decimal(kind):
        found = map(of_arrow, values.to_pylist())
        ids = pa.array([id_ if isinstance(id_, int) and id_ in _INT64 else None for id_ in found], pa.int64())
        return ids, _mask(ids.is_valid())
    if pa.types.is_floating(kind):
        floats = pc.cast(values, pa.float64()).to_numpy(zero_copy_only=False)
        is_exact = (np.floor(floats) == floats) & (np.abs(floats) < _EXACT)
        return pa.array(np.where(is_exact, floats, 0).astype(np.int64)), is_exact
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        texts = pc.cast(values, pa.string())
        length = pc.utf8_length(texts)
        is_right = pc.and_(pc.greater(length, 0), pc.less_equal(length, MAX_ID_LENGTH))
        return texts, _mask(pc.and_not(is_right, pc.match_substring(texts, "\0")))
    texts = [text if isinstance(text, str) else None for text in map(of_arrow, values.to_pylist())]
    return _checked(pa.array(texts, pa.string()))


def _mask(values: Any) -> Mask:
    mask: Mask = pc.fill_null(values, False).to_numpy(zero_copy_only=False)
    return mask
