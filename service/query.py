"""Query parameters, parsed once at the edge: every fault is named, and a parameter that is not known is one. Here are
those of /performance and /drift."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from service.errors import Fault, InvalidQuery, pointer, shown

Value = TypeVar("Value")

Arguments = Mapping[str, Sequence[str]]

WINDOWS = ("1d", "1w")
LAST = 1_000
MOST_LAST = 100_000

_DAY = (
    "[1-9][0-9]{3}-(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|[1-9][0-9]{3}-(0[469]|11)-(0[1-9]|[12][0-9]|30)"
    "|[1-9][0-9]{3}-02-(0[1-9]|1[0-9]|2[0-8])"
    "|([1-9][0-9](0[48]|[2468][048]|[13579][26])|([2468][048]|[13579][26])00)-02-29"
)
_HOUR = "([01][0-9]|2[0-3]):[0-5][0-9]"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A plus sign that was not quoted in the URL arrives as a blank.
MOMENT = f"^({_DAY})(T{_HOUR}(:[0-5][0-9]([.][0-9]{{1,6}})?)?(Z|[+ -]{_HOUR})?)?$"

EXPECTED_VERSION = "a version of a model, text without NUL"
EXPECTED_MOMENT = "a date or a time in ISO 8601, as 2026-01-31 or 2026-01-31T12:00:00Z"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which predictions: those of a model version, made from `since` up to but without `until` (microseconds since
    1970, UTC); None for all."""

    model_version: str | None = None
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True)
class PerformanceQuery:
    """What GET /performance is asked for: a selection, a series of windows, groups by a column."""

    selection: Selection
    window: str | None = None
    by: str | None = None


@dataclass(frozen=True, slots=True)
class DriftQuery:
    """What GET /drift is asked for: of a selection the last so many rows, None for all of it."""

    selection: Selection
    last: int | None = LAST


def performance_query(arguments: Arguments, columns: Sequence[str]) -> PerformanceQuery:
    """The parameters model_version, since, until, window and by. Raises InvalidQuery."""
    read = ArgumentReader(arguments, ("model_version", "since", "until", "window", "by"))
    window = read.one_of("window", WINDOWS)
    by = read.one_of("by", columns)
    return PerformanceQuery(read.selection(), window, by)


def drift_query(arguments: Arguments) -> DriftQuery:
    """The parameters model_version, since, until and last; where a time is given, all rows count unless `last` is
    given too. Raises InvalidQuery."""
    read = ArgumentReader(arguments, ("model_version", "since", "until", "last"))
    last = read.number("last", MOST_LAST)
    timed = "since" in arguments or "until" in arguments
    return DriftQuery(read.selection(), last if last is not None or timed else LAST)


class ArgumentReader:
    """Reads the `known` ones of a query's parameters; what is wrong is collected until `require` raises it."""

    def __init__(self, arguments: Arguments, known: Sequence[str]) -> None:
        self._faults: list[Fault] = []
        self._values: dict[str, str] = {}
        self._given = frozenset(arguments)
        for name, values in arguments.items():
            if name not in known:
                self._refuse(name, values[0], "one of the parameters " + ", ".join(known), "unknown parameter")
            elif len(values) > 1 or not values[0]:
                self._refuse(name, list(values), "one value")
            else:
                self._values[name] = values[0]

    def selection(self) -> Selection:
        """The selection; to be asked for last, for it raises what was found wrong."""
        since, until = (self.read(name, parse_moment, EXPECTED_MOMENT) for name in ("since", "until"))
        version = self.read("model_version", _version, EXPECTED_VERSION)
        self.require()
        return Selection(version, since, until)

    def require(self, *names: str) -> None:
        """Raises InvalidQuery for what was found wrong, and where one of these is missing."""
        missing = [name for name in names if name not in self._given]
        self._faults += [Fault(pointer(name), f"{name} is missing", None, "one value") for name in missing]
        if self._faults:
            raise InvalidQuery(self._faults)

    def one_of(self, name: str, choices: Sequence[str]) -> str | None:
        """One of these words."""
        value = self._values.get(name)
        if value is not None and value not in choices:
            self._refuse(name, value, "one of " + ", ".join(choices))
        return value

    def number(self, name: str, most: int) -> int | None:
        """A number of rows."""
        return self.read(name, lambda text: _number(text, most), f"an integer from 1 to {most}")

    def read(self, name: str, parse: Callable[[str], Value], expected: str) -> Value | None:
        """What `parse` makes of a parameter; a ValueError of it is a fault. None where it is not given."""
        if name not in self._values:
            return None
        try:
            return parse(self._values[name])
        except ValueError:
            self._refuse(name, self._values[name], expected)
            return None

    def _refuse(self, name: str, value: Any, expected: str, what: str | None = None) -> None:
        detail = f"{name}: {what or 'expected ' + expected}; got {shown(value)}"
        self._faults.append(Fault(pointer(name), detail, value, expected))


def parse_moment(text: str) -> int:
    """Microseconds since 1970; a time without a zone is in UTC. Raises ValueError."""
    if not re.fullmatch(MOMENT, text):
        raise ValueError(text)
    moment = datetime.fromisoformat(text.replace(" ", "+"))
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1)


def moment_of(microseconds: int, timespec: str = "auto") -> str:
    """Microseconds since 1970 as ISO 8601 in UTC; a moment after the year 9999 becomes its end."""
    try:
        moment = _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        moment = datetime.max.replace(tzinfo=UTC)
    return moment.isoformat(timespec=timespec)


def _version(text: str) -> str:
    if "\0" in text:  # which PostgreSQL takes in no text
        raise ValueError(text)
    return text


def _number(text: str, most: int) -> int:
    if not re.fullmatch(r"[0-9]{1,19}", text) or not 1 <= int(text) <= most:
        raise ValueError(text)
    return int(text)
