"""Parses the JSON bodies of the /admin URLs: a database name, and a number of rows."""

from typing import Any

from service.demo import DEFAULT_ROWS, MOST_ROWS
from service.errors import Fault, InvalidBody, pointer, shown
from service.prediction.observation import members_of

_NAME_EXPECTED = "the name of the service's database, the last part of DATABASE_URL"
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
    members, faults = members_of({"rows": DEFAULT_ROWS, **payload} if isinstance(payload, dict) else payload, ("rows",))
    rows = members["rows"]
    if isinstance(rows, float) and rows.is_integer():
        rows = int(rows)
    if isinstance(rows, bool) or not isinstance(rows, int) or not 1 <= rows <= MOST_ROWS:
        faults.append(Fault("/rows", f"rows: expected {_ROWS_EXPECTED}; got {shown(rows)}", rows, _ROWS_EXPECTED))
    if faults:
        raise InvalidBody(faults)
    return int(rows)
