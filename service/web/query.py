"""Parses query parameters into typed queries. All faults are reported at once; an unknown parameter is a fault."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode

from serialize.task import Task
from service.errors import Fault, InvalidBody, InvalidQuery, MalformedBody, pointer
from service.prediction.filter import DEFAULT_LAST, DriftQuery, PerformanceQuery, PredictionFilter, Selection
from service.prediction.moment import EXPECTED_MOMENT, parse_moment
from service.prediction.observation import canonical, key_of, parse_id
from service.prediction.strict_json import decode
from service.prediction.true_label import LabelParser

Value = TypeVar("Value")

Arguments = Mapping[str, Sequence[str]]

WINDOWS = ("1d", "1w")
MOST_LAST = 100_000

EXPECTED_VERSION = "a version of a model, text without NUL"
EXPECTED_VERSIONS = "two versions of models with a comma between them"


def performance_query(arguments: Arguments, columns: Sequence[str]) -> PerformanceQuery:
    """The parameters model_version, since, until, window, compare and by, which is one of `columns`; another model
    version may have others, so the report checks them. Raises InvalidQuery."""
    read = ArgumentReader(arguments, ("model_version", "since", "until", "window", "by", "compare"))
    window = read.one_of("window", WINDOWS)
    by = read.read("by", str, "") if "model_version" in arguments else read.one_of("by", columns)
    compare = read.read("compare", _two_versions, EXPECTED_VERSIONS)
    return PerformanceQuery(read.selection(), window, by, compare)


def drift_query(arguments: Arguments) -> DriftQuery:
    """The parameters model_version, since, until, last and reference. With a time and no `last`, all rows of that time
    count. Raises InvalidQuery."""
    read = ArgumentReader(arguments, ("model_version", "since", "until", "last", "reference"))
    last = read.number("last", MOST_LAST)
    timed = "since" in arguments or "until" in arguments
    reference = read.read("reference", _version, EXPECTED_VERSION)
    return DriftQuery(read.selection(), last if last is not None or timed else DEFAULT_LAST, reference)


def list_limit(arguments: Arguments) -> int:
    """The parameter limit of a list of models or jobs. Raises InvalidQuery."""
    read = ArgumentReader(arguments, ("limit",))
    limit = read.number("limit", MOST_LIMIT)
    read.require()
    return limit or LIMIT


class ArgumentReader:
    """Reads the `known` parameters of a query. It collects the faults until `require` or `selection` raises them."""

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
        """The parameters of a selection. Call it last: it raises InvalidQuery with all faults so far."""
        since, until = (self.read(name, parse_moment, EXPECTED_MOMENT) for name in ("since", "until"))
        version = self.read("model_version", _version, EXPECTED_VERSION)
        self.require()
        return Selection(version, since, until)

    def require(self, *names: str) -> None:
        """Raises InvalidQuery with all faults so far, including one for each of these parameters that is missing."""
        missing = [name for name in names if name not in self._given]
        self._faults += [Fault(pointer(name), f"{name} is missing", None, "one value") for name in missing]
        if self._faults:
            raise InvalidQuery(self._faults)

    def one_of(self, name: str, choices: Sequence[str]) -> str | None:
        """The value of a parameter, which must be one of the choices. None if it is absent."""
        value = self._values.get(name)
        if value is not None and value not in choices:
            self._refuse(name, value, "one of " + ", ".join(choices))
        return value

    def number(self, name: str, most: int) -> int | None:
        """The value of a parameter as an integer from 1 to `most`. None if it is absent or wrong."""
        return self.read(name, lambda text: _number(text, most), f"an integer from 1 to {most}")

    def read(self, name: str, parse: Callable[[str], Value], expected: str) -> Value | None:
        """The parsed value of a parameter. A ValueError of `parse` is a fault. None if it is absent or wrong."""
        if name not in self._values:
            return None
        try:
            return parse(self._values[name])
        except ValueError:
            self._refuse(name, self._values[name], expected)
            return None

    def _refuse(self, name: str, value: Any, expected: str, what: str | None = None) -> None:
        self._faults.append(Fault.of_parameter(name, value, expected, what))


def _version(text: str) -> str:
    if "\0" in text:  # PostgreSQL refuses NUL
        raise ValueError(text)
    return text


def _two_versions(text: str) -> tuple[str, str]:
    first, second = map(_version, text.split(","))  # other than two are a ValueError
    if not first or not second:
        raise ValueError(text)
    return first, second


def _number(text: str, most: int) -> int:
    if not re.fullmatch(r"[0-9]{1,19}", text) or not 1 <= int(text) <= most:
        raise ValueError(text)
    return int(text)


LIMIT = 100
MOST_LIMIT = 1_000
MOST_KEY = 2**63 - 1

_BOOLEANS = {"true": True, "false": False}
_EXPECTED_ID = 'an id: 0 for the integer, "0" in quotes for the string, or any other text of 1 to 255 characters'


@dataclass(frozen=True, slots=True)
class PageQuery:
    """A page of at most `limit` rows of a filter, below the key `after`. `arguments` are the raw parameters."""

    predictions: PredictionFilter
    limit: int
    after: int | None
    arguments: Arguments

    def next(self, after: int) -> str:
        """The relative URL of the page that starts below a key."""
        kept = [(name, values[0]) for name, values in self.arguments.items() if name != "after"]
        return "/predictions?" + urlencode([*kept, ("after", after)])


class LogArguments:
    """Reads the parameters of /predictions for a model with this task; a regression has no predicted_class."""

    def __init__(self, task: Task) -> None:
        self._labels = LabelParser(task)
        classes = () if task.kind == "regression" else ("predicted_class",)
        self._filters = ("observation_id", "labelled", "model_version", "since", "until", *classes)

    def page(self, arguments: Arguments) -> PageQuery:
        """The parameters of a page. Raises InvalidQuery."""
        read = ArgumentReader(arguments, ("limit", "after", *self._filters))
        limit = read.number("limit", MOST_LIMIT)
        after = read.number("after", MOST_KEY)
        return PageQuery(self._filter(read), limit or LIMIT, after, arguments)

    def stream(self, arguments: Arguments) -> tuple[PredictionFilter, int | None]:
        """The filter of a stream, and the key below which it starts. A stream takes no `limit`. Raises InvalidQuery."""
        read = ArgumentReader(arguments, ("after", *self._filters))
        after = read.number("after", MOST_KEY)
        return self._filter(read), after

    def key(self, arguments: Arguments) -> str:
        """The observation_id, which must be the only parameter. Raises InvalidQuery."""
        read = ArgumentReader(arguments, ("observation_id",))
        key = read.read("observation_id", _key, _EXPECTED_ID)
        read.require("observation_id")
        assert key is not None
        return key

    def _filter(self, read: ArgumentReader) -> PredictionFilter:
        key = read.read("observation_id", _key, _EXPECTED_ID)
        labelled = _BOOLEANS.get(read.one_of("labelled", list(_BOOLEANS)) or "")
        predicted = read.read("predicted_class", self._label, self._labels.expected)
        return PredictionFilter(read.selection(), key, labelled, predicted)

    def _label(self, text: str) -> str:
        for value in _candidates(text):
            label = self._labels.label(value)
            if label is not None:
                return canonical(label)
        raise ValueError(text)


def _key(text: str) -> str:
    for value in _candidates(text):
        with suppress(InvalidBody):
            return key_of(parse_id(value))
    raise ValueError(text)


def _candidates(text: str) -> tuple[Any, ...]:
    """The values that a text may mean: its JSON value, if it is JSON, and then the text itself."""
    try:
        return decode(text.encode()), text
    except MalformedBody:
        return (text,)
