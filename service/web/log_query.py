"""What is wanted of the log: the query parameters of /predictions, parsed once at the edge."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from serialize.task import Task
from service.errors import InvalidBody, MalformedBody
from service.prediction.filter import PredictionFilter
from service.prediction.observation import canonical, key_of, parse_id
from service.prediction.true_label import LabelParser
from service.web.payload import decode
from service.web.query import ArgumentReader, Arguments

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
