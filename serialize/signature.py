"""The signature: the columns of an observation, inferred from all training rows.

Validation, the input of the pipeline and the API documentation all use it. It holds plain JSON types only."""

import json
import math
import re
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal, Self

from serialize.formats.datetimes import Datetimes

Scalar = str | int | float | bool | None
ColumnKind = Literal["integer", "number", "boolean", "category", "text", "datetime"]
Container = Literal["frame", "series", "array", "vector"]
NullMarker = Literal["nan", "none", "na", "nat"]

_INT64 = (-(2**63), 2**63 - 1)
ORDINARY = 1e15
_FLOAT_MAX = {"float16": 65504.0, "float32": 3.4028234663852886e38}
_LISTED_CATEGORIES = 30


@dataclass(frozen=True, slots=True)
class Levels:
    """The levels of a pandas `category` column: their values in order, the dtype of the values, and whether they
    are ordered."""

    values: tuple[Scalar, ...]
    dtype: str
    ordered: bool


@dataclass(frozen=True, slots=True)
class Column:
    """One feature.

    `dtype` is the pandas or numpy name of the training dtype, `null` the missing value of an object column (NaN, None,
    pandas.NA or pandas.NaT), `categories` the values of a `category` column: the only ones, unless `accepts_unseen`.
    `minimum` and `maximum` are the declared inclusive bounds of numbers, `longest` the length in characters of the
    longest training string. `largest` is the largest magnitude of the training numbers, if it is so large that values
    beyond ORDINARY must be accepted too. `datetimes` describes a datetime column, whose JSON values are strings."""

    name: str
    kind: ColumnKind
    nullable: bool
    dtype: str
    null: NullMarker = "nan"
    categories: tuple[Scalar, ...] | None = None
    levels: Levels | None = None
    minimum: int | float | None = None
    maximum: int | float | None = None
    longest: int | None = None
    largest: float | None = None
    datetimes: Datetimes | None = None
    accepts_unseen: bool = False

    @property
    def accepted(self) -> ColumnKind:
        """The kind of the values that are accepted: that of the categories (text, integer or number) for a `category`
        column that accepts unseen values, and `kind` for any other column."""
        if not self.accepts_unseen:
            return self.kind
        values = self.categories or ()
        if any(isinstance(value, str) for value in values):
            return "text"
        return (
            "number"
            if "float" in self.dtype.lower() or any(isinstance(value, float) for value in values)
            else "integer"
        )

    @property
    def max_length(self) -> int:
        """The maximum number of characters of a text value: ten times the longest seen, and at least 1,000."""
        return max(1000, 10 * (self.longest or 0))

    @property
    def limits(self) -> tuple[float, float]:
        """The least and the greatest valid value of a numeric column: the range of the training dtype, narrowed by the
        declared bounds. Without bounds the limit of a number is ORDINARY, so that arithmetic does not overflow."""
        lowest, highest = self._dtype_limits
        ordinary = ORDINARY if self.accepted == "number" and self.largest is None else math.inf
        least = max(lowest, -ordinary if self.minimum is None else self.minimum)
        greatest = min(highest, ordinary if self.maximum is None else self.maximum)
        return least, greatest

    @property
    def expected(self) -> str:
        """The valid values, as a phrase for an error message."""
        or_null = " or null" if self.nullable else ""
        if self.datetimes is not None:
            return self.datetimes.expected + or_null
        match self.accepted:
            case "boolean":
                phrase = "true or false"
            case "text":
                phrase = f"a string of at most {self.max_length} characters"
            case "category":
                phrase = "one of " + self.known
            case "integer" | "number":
                phrase = ("an integer" if self.accepted == "integer" else "a number") + self._range()
        known = f" (known: {self.known})" if self.accepts_unseen else ""
        return phrase + or_null + known

    @property
    def known(self) -> str:
        """The first 30 categories as JSON, and the number of the others."""
        return _listed(self.categories or ())

    def unseen(self, known: Collection[Scalar]) -> Iterator[Scalar]:
        """Values that the column accepts and that are not `known`, as many as there are up to `len(known)` and two
        more; none if it accepts no others."""
        numbers = range(len(known) + 2)
        tried: list[Any] = []
        if self.accepted == "text":
            tried = [f"unseen {number}" for number in numbers]
        elif self.accepted in ("integer", "number"):
            least, greatest = self.limits
            tried = [low + number for low in dict.fromkeys((max(least, 0), least)) for number in numbers]
            tried = [value for value in tried if value <= greatest]
        return (value for value in tried if value not in known)

    @property
    def _dtype_limits(self) -> tuple[float, float]:
        return _dtype_limits(self.accepted, self.levels.dtype if self.levels else self.dtype)

    def _range(self) -> str:
        narrow = self.accepted == "number" or self._dtype_limits[1] < _INT64[1]
        least, greatest = self.limits
        from_ = least if narrow or self.minimum is not None else None
        to = greatest if narrow or self.maximum is not None else None
        if from_ is not None and to is not None:
            return f" from {_plain(from_)} to {_plain(to)}"
        if from_ is not None:
            return f" of at least {_plain(from_)}"
        return "" if to is None else f" of at most {_plain(to)}"

    def to_json(self) -> dict[str, Any]:
        """The column as JSON; fields that are None are left out, and `accepts_unseen` if it is false."""
        fields = {key: value for key, value in asdict(self).items() if value is not None}
        if not self.accepts_unseen:
            del fields["accepts_unseen"]
        if self.datetimes is not None:
            fields["datetimes"] = {key: value for key, value in fields["datetimes"].items() if value is not None}
        return fields

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The column back from `to_json`."""
        fields = dict(data)
        if "categories" in fields:
            fields["categories"] = tuple(fields["categories"])
        if "levels" in fields:
            levels = fields["levels"]
            fields["levels"] = Levels(tuple(levels["values"]), levels["dtype"], levels["ordered"])
        if "datetimes" in fields:
            fields["datetimes"] = Datetimes(**fields["datetimes"])
        return cls(**fields)


@dataclass(frozen=True)
class Signature:
    """The columns in training order, and the container that the pipeline was fitted on: a DataFrame (`frame`), a
    Series, a two-dimensional `array`, or a one-dimensional `vector`."""

    container: Container
    columns: tuple[Column, ...]

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The column names in training order."""
        return tuple(column.name for column in self.columns)

    def to_json(self) -> dict[str, Any]:
        """The signature as JSON."""
        return {"container": self.container, "columns": [column.to_json() for column in self.columns]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The signature back from `to_json`."""
        return cls(data["container"], tuple(Column.from_json(column) for column in data["columns"]))


def _dtype_limits(kind: ColumnKind, dtype: str) -> tuple[float, float]:
    if kind == "integer":
        sized = re.match(r"(u?)int(8|16|32)", dtype.lower())
        if sized is None:
            return (0, _INT64[1]) if dtype.lower().startswith("uint") else _INT64
        bits = int(sized[2])
        return (0, 2**bits - 1) if sized[1] else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    greatest = _FLOAT_MAX.get(dtype.lower().partition("[")[0], sys.float_info.max)
    return -greatest, greatest


def _plain(number: float) -> str:
    return f"{number:g}" if isinstance(number, float) and abs(number) >= ORDINARY else str(number)


def _listed(values: tuple[Scalar, ...]) -> str:
    quoted = (f'"{value}"' if isinstance(value, str) else json.dumps(value) for value in values[:_LISTED_CATEGORIES])
    shown = ", ".join(quoted)
    more = len(values) - _LISTED_CATEGORIES
    return f"{shown} and {more} more" if more > 0 else shown
