"""Parses the JSON bodies of the /admin URLs: a database name, a number of rows, and what goes with a promotion or a
retraining."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from service.demo import DEFAULT_ROWS, MOST_ROWS
from service.errors import Fault, InvalidBody, pointer, shown
from service.prediction.moment import EXPECTED_MOMENT, MOMENT
from service.prediction.observation import members_of

_NAME_EXPECTED = "the name of the service's database, the last part of DATABASE_URL"
MOST_REASON = 1000

_REASON_EXPECTED = f"null, or text of 1 to {MOST_REASON} characters without NUL characters and lone surrogates"
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_ROWS_EXPECTED = f"an integer from 1 to {MOST_ROWS}"

MOST_LEARNED = 2**63 - 1
MOST_PREFIX = 255
DAYS = "^[1-9][0-9]{0,3}d$"

_COUNT_EXPECTED = f"null, or an integer from 1 to {MOST_LEARNED}"
_WINDOW_EXPECTED = f'null, a number of rows (an integer from 1 to {MOST_LEARNED}), or days as text from "1d" to "9999d"'
_PREFIX_EXPECTED = f"null, or text of 1 to {MOST_PREFIX} characters without NUL characters and lone surrogates"


def require_database_name(payload: Any, name: str) -> None:
    """Checks that a payload is `{"database": name}`. Raises InvalidBody; the message hides the name."""
    members, faults = members_of(payload, ("database",))
    given = members.get("database")
    if "database" in members and given != name:
        detail = f"database: expected {_NAME_EXPECTED}; got {shown(given)}"
        faults.append(Fault(pointer("database"), detail, given, _NAME_EXPECTED))
    if faults:
        raise InvalidBody(faults)


def row_count(payload: Any) -> int:
    """The `rows` of a payload `{"rows": n}`, 500 for `{}`. Raises InvalidBody."""
    members, faults = _optional(payload, {"rows": DEFAULT_ROWS})
    rows = members["rows"]
    if not _is_count(rows, MOST_ROWS):
        faults.append(Fault("/rows", f"rows: expected {_ROWS_EXPECTED}; got {shown(rows)}", rows, _ROWS_EXPECTED))
    if faults:
        raise InvalidBody(faults)
    return int(rows)


def promotion(payload: Any) -> tuple[str | None, bool]:
    """The `reason` and `force` of a payload; without them None and False. Raises InvalidBody."""
    members, faults = _optional(payload, {"reason": None, "force": False})
    faults += _faults_of_reason(members["reason"])
    if not isinstance(force := members["force"], bool):
        faults.append(Fault("/force", f"force: expected true or false; got {shown(force)}", force, "true or false"))
    if faults:
        raise InvalidBody(faults)
    return members["reason"], force


def rollback_reason(payload: Any) -> str | None:
    """The `reason` of a payload, None for `{}`. Raises InvalidBody."""
    members, faults = _optional(payload, {"reason": None})
    faults += _faults_of_reason(members["reason"])
    if faults:
        raise InvalidBody(faults)
    reason: str | None = members["reason"]
    return reason


def retraining(payload: Any, columns: Sequence[str]) -> dict[str, Any]:
    """The arguments of a retraining: `promote`, `window` (a number of rows, or text such as "30d"), `max_rows`,
    `holdout`, `since` and `until` (ISO 8601), `ids` (how ids begin), `cluster` (a column) and `guard` (columns). What
    is missing is None, False or empty. Raises InvalidBody."""
    members, faults = _optional(payload, _RETRAINING)
    listed = ", ".join(columns)

    def require(name: str, is_right: bool, expected: str) -> None:
        value = members[name]
        if not is_right:
            faults.append(Fault(pointer(name), f"{name}: expected {expected}; got {shown(value)}", value, expected))

    window, prefix, guard = members["window"], members["ids"], members["guard"]
    is_days = isinstance(window, str) and re.fullmatch(DAYS, window) is not None
    require("promote", isinstance(members["promote"], bool), "true or false")
    require("window", window is None or is_days or _is_count(window, MOST_LEARNED), _WINDOW_EXPECTED)
    for name in ("max_rows", "holdout"):
        require(name, members[name] is None or _is_count(members[name], MOST_LEARNED), _COUNT_EXPECTED)
    for name in ("since", "until"):
        value = members[name]
        is_moment = isinstance(value, str) and re.fullmatch(MOMENT, value) is not None
        require(name, value is None or is_moment, f"null, or {EXPECTED_MOMENT}")
    require("ids", prefix is None or _is_text(prefix, MOST_PREFIX), _PREFIX_EXPECTED)
    require("cluster", members["cluster"] in (None, *columns), f"null, or one of the columns {listed}")
    is_list = isinstance(guard, list) and all(column in columns for column in guard)
    require("guard", guard is None or is_list, f"null, or an array of some of the columns {listed}")
    if faults:
        raise InvalidBody(faults)
    counts = {name: int(members[name]) for name in _COUNTS if _is_count(members[name], MOST_LEARNED)}
    return {**members, **counts, "guard": list(dict.fromkeys(guard or ()))}


_COUNTS = ("window", "max_rows", "holdout")
_RETRAINING = {
    "promote": False,
    **dict.fromkeys(("window", "max_rows", "holdout", "since", "until", "ids", "cluster", "guard")),
}


def _optional(payload: Any, defaults: Mapping[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
    """The members of a payload, with these defaults for missing ones. Raises InvalidBody if it is not an object."""
    return members_of({**defaults, **payload} if isinstance(payload, dict) else payload, tuple(defaults))


def _faults_of_reason(value: Any) -> list[Fault]:
    if value is None or _is_text(value, MOST_REASON):
        return []
    return [Fault("/reason", f"reason: expected {_REASON_EXPECTED}; got {shown(value)}", value, _REASON_EXPECTED)]


def _is_text(value: Any, most: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= most and not _UNSTORABLE.search(value)


def _is_count(value: Any, most: int) -> bool:
    """Whether a value is an integer from 1 to `most`; in JSON 2.0 is one too."""
    is_integer = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return is_integer and not isinstance(value, bool) and 1 <= value <= most
