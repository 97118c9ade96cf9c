"""Query parameters, parsed once at the edge: every fault is named, and a parameter that is not known is one. Here are
those of /performance and /drift."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from service.errors import Fault, InvalidQuery, pointer, shown
from service.prediction.filter import DEFAULT_LAST, DriftQuery, PerformanceQuery, Selection
from service.prediction.moment import EXPECTED_MOMENT, parse_moment

Value = TypeVar("Value")

Arguments = Mapping[str, Sequence[str]]

WINDOWS = ("1d", "1w")
MOST_LAST = 100_000

EXPECTED_VERSION = "a version of a model, text without NUL"


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
    return DriftQuery(read.selection(), last if last is not None or timed else DEFAULT_LAST)


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


def _version(text: str) -> str:
    if "\0" in text:  # which PostgreSQL takes in no text
        raise ValueError(text)
    return text


def _number(text: str, most: int) -> int:
    if not re.fullmatch(r"[0-9]{1,19}", text) or not 1 <= int(text) <= most:
        raise ValueError(text)
    return int(text)
