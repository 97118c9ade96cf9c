"""Parses the JSON bodies of the /admin URLs: a database name, a number of rows, and what goes with a promotion."""

import re
from collections.abc import Mapping
from typing import Any

from service.demo import DEFAULT_ROWS, MOST_ROWS
from service.errors import Fault, InvalidBody, pointer, shown
from service.prediction.observation import members_of

_NAME_EXPECTED = "the name of the service's database, the last part of DATABASE_URL"
MOST_REASON = 1000

_REASON_EXPECTED = f"null, or text of 1 to {MOST_REASON} characters without NUL characters and lone surrogates"
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_ROWS_EXPECTED = f"an integer from 1 to {MOST_ROWS}"


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
    if isinstance(rows, float) and rows.is_integer():
        rows = int(rows)
    if isinstance(rows, bool) or not isinstance(rows, int) or not 1 <= rows <= MOST_ROWS:
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


def _optional(payload: Any, defaults: Mapping[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
    """The members of a payload, with these defaults for missing ones. Raises InvalidBody if it is not an object."""
    return members_of({**defaults, **payload} if isinstance(payload, dict) else payload, tuple(defaults))


def _faults_of_reason(value: Any) -> list[Fault]:
    is_text = isinstance(value, str) and 0 < len(value) <= MOST_REASON and not _UNSTORABLE.search(value)
    if value is None or is_text:
        return []
    return [Fault("/reason", f"reason: expected {_REASON_EXPECTED}; got {shown(value)}", value, _REASON_EXPECTED)]
