"""What a retraining is asked for: by the options of the command, or by the arguments of a job, which are JSON."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from serialize.signature import Signature
from serialize.task import Label, Task
from service.errors import Fault, InvalidBody, pointer
from service.learning.retraining.candidates import Window, parse_window
from service.prediction.moment import EXPECTED_MOMENT, parse_moment
from service.storage.learning.rows import EVERY_ROW, RowFilter

MOST_ROWS = 100_000

# Gives the observations of a file and their true classes or values, None where it has none, for a model.
OwnRowsOf = Callable[[Task, Signature], tuple[Sequence[Mapping[str, Any]], Sequence[Label | None]]]

_NUMBERS = ("max_rows", "holdout")
_TEXTS = ("cluster", "ids")
_FLAGS = ("promote", "dry_run")
_MOMENTS = ("since", "until")
NAMES = ("window", "guard", *_NUMBERS, *_TEXTS, *_FLAGS, *_MOMENTS)
_WINDOW_EXPECTED = "a number of rows such as 500, or of days such as 14d"


@dataclass(frozen=True, slots=True)
class RetrainOptions:
    """`window` is what the newest rows are. At most the newest `max_rows` labelled rows of `rows` are read, and
    `holdout` of them judge, by default as many as `holdout.split` says. `cluster` is the column whose groups are drawn
    together, and the groups of the columns `guards` must not get worse. `own` gives rows of a file. Without `promote`
    the challenger is stored only; with `dry_run` not even that."""

    window: Window | None = None
    max_rows: int = MOST_ROWS
    holdout: int | None = None
    rows: RowFilter = EVERY_ROW
    cluster: str | None = None
    guards: tuple[str, ...] = ()
    own: OwnRowsOf | None = None
    promote: bool = False
    dry_run: bool = False

    @classmethod
    def of(cls, arguments: Mapping[str, Any], own: OwnRowsOf | None = None) -> "RetrainOptions":
        """The options of a job or a command, and the rows of its file. `window` is text such as `500` or `14d`,
        `guard` a list of columns, `since` and `until` times in ISO 8601. A member that is null counts as not given.
        Raises InvalidBody with all faults."""
        given = {name: value for name, value in arguments.items() if value is not None}
        faults = [_unknown(name, value) for name, value in given.items() if name not in NAMES]
        faults += [fault for name, value in given.items() if name in NAMES and (fault := _fault(name, value))]
        if faults:
            raise InvalidBody(faults)
        since, until = (_moment(given[name]) if name in given else None for name in _MOMENTS)
        return cls(
            window=parse_window(str(given["window"])) if "window" in given else None,
            max_rows=given.get("max_rows", MOST_ROWS),
            holdout=given.get("holdout"),
            rows=RowFilter(given.get("ids"), since, until),
            cluster=given.get("cluster"),
            guards=tuple(given.get("guard", ())),
            own=own,
            promote=given.get("promote", False),
            dry_run=given.get("dry_run", False),
        )

    def to_json(self) -> dict[str, Any]:
        """What chose the rows, for the record."""
        window = self.window
        size = None if window is None else window.rows or f"{window.time.days}d" if window.time else window.rows
        times = {name: getattr(self.rows, name) for name in _MOMENTS}
        return {
            "window": None if size is None else str(size),
            "max_rows": self.max_rows,
            "ids": self.rows.ids,
            **{name: None if at is None else at.isoformat() for name, at in times.items()},
            "own_rows": self.own is not None,
        }


def _fault(name: str, value: Any) -> Fault | None:
    expected = _expected(name, value)
    return None if expected is None else Fault.of_parameter(name, value, expected)


def _expected(name: str, value: Any) -> str | None:
    """What was expected of a member, or None if it is right."""
    is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    is_text = isinstance(value, str) and value != "" and "\0" not in value
    if name in _NUMBERS:
        return None if is_count else "an integer of at least 1"
    if name in _TEXTS:
        return None if is_text else "a text that is not empty"
    if name in _FLAGS:
        return None if isinstance(value, bool) else "true or false"
    if name in _MOMENTS:
        return None if _is_of(parse_moment, value) else EXPECTED_MOMENT
    if name == "window":
        return None if is_count or _is_of(parse_window, value) else _WINDOW_EXPECTED
    is_list = isinstance(value, list | tuple) and all(isinstance(column, str) for column in value)
    return None if is_list else "an array of columns"


def _is_of(parse: Callable[[str], Any], value: Any) -> bool:
    try:
        parse(value)
    except (ValueError, TypeError):
        return False
    return True


def _moment(text: str) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=parse_moment(text))


def _unknown(name: str, value: Any) -> Fault:
    expected = "one of " + ", ".join(sorted(NAMES))
    return Fault(pointer(name), f"{name} is not an allowed key; expected {expected}", value, expected)
