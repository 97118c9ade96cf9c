"""Query parameters, parsed once at the edge. Every fault is named, and an unknown parameter is a fault."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode

from serialize.task import Task
from service.errors import Fault, InvalidBody, InvalidQuery, MalformedBody, pointer, shown
from service.prediction.filter import DEFAULT_LAST, DriftQuery, PerformanceQuery, PredictionFilter, Selection
from service.prediction.moment import EXPECTED_MOMENT, parse_moment
from service.prediction.observation import canonical, key_of, parse_id
from service.prediction.true_label import LabelParser
from service.web.json_body import decode

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


LIMIT = 100
MOST_LIMIT = 1_000
MOST_KEY = 2**63 - 1

_BOOLEANS = {"true": True, "false": False}
_EXPECTED_ID = (
    'an id: 0 for the integer, "0" in quotes for the string, any other text of 1 to 255 characters for itself'
)


@dataclass(frozen=True, slots=True)
class PageQuery:
    """A page of at most `limit` of the wanted rows, below the key `after`. `given` are the parameters as they came."""

    wanted: PredictionFilter
    limit: int
    after: int | None
    given: Arguments

    def next(self, after: int) -> str:
        """The relative URL of the page below a key."""
        kept = [(name, values[0]) for name, values in self.given.items() if name != "after"]
        return "/predictions?" + urlencode([*kept, ("after", after)])


class LogArguments:
    """Reads the parameters, for a log of a model with this task: a regression has no predicted_class."""

    def __init__(self, task: Task) -> None:
        self._labels = LabelParser(task)
        classes = () if task.kind == "regression" else ("predicted_class",)
        self._filters = ("observation_id", "labelled", "model_version", "since", "until", *classes)

    def page(self, arguments: Arguments) -> PageQuery:
        """The parameters of a page. Raises InvalidQuery."""
        read = ArgumentReader(arguments, ("limit", "after", *self._filters))
        limit = read.number("limit", MOST_LIMIT)
        after = read.number("after", MOST_KEY)
        return PageQuery(self._wanted(read), limit or LIMIT, after, arguments)

    def stream(self, arguments: Arguments) -> tuple[PredictionFilter, int | None]:
        """The parameters of a stream, which has no limit: what is wanted, and the key below which it begins. Raises
        InvalidQuery."""
        read = ArgumentReader(arguments, ("after", *self._filters))
        after = read.number("after", MOST_KEY)
        return self._wanted(read), after

    def key(self, arguments: Arguments) -> str:
        """The observation_id, which must be given, and alone. Raises InvalidQuery."""
        read = ArgumentReader(arguments, ("observation_id",))
        key = read.read("observation_id", _key, _EXPECTED_ID)
        read.require("observation_id")
        assert key is not None
        return key

    def _wanted(self, read: ArgumentReader) -> PredictionFilter:
        key = read.read("observation_id", _key, _EXPECTED_ID)
        labelled = _BOOLEANS.get(read.one_of("labelled", list(_BOOLEANS)) or "")
        predicted = read.read("predicted_class", self._label, self._labels.expected)
        return PredictionFilter(read.selection(), key, labelled, predicted)

    def _label(self, text: str) -> str:
        for value in _readings(text):
            label = self._labels.label(value)
            if label is not None:
                return canonical(label)
        raise ValueError(text)


def _key(text: str) -> str:
    for value in _readings(text):
        with suppress(InvalidBody):
            return key_of(parse_id(value))
    raise ValueError(text)


def _readings(text: str) -> tuple[Any, ...]:
    """What a text may stand for: first what it is as JSON, if it is that, and then itself."""
    try:
        return decode(text.encode()), text
    except MalformedBody:
        return (text,)
