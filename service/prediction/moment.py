"""Converts times between ISO 8601 text and microseconds since 1970 (UTC)."""

import re
from datetime import UTC, datetime, timedelta

_DAY = (
    "[1-9][0-9]{3}-(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|[1-9][0-9]{3}-(0[469]|11)-(0[1-9]|[12][0-9]|30)"
    "|[1-9][0-9]{3}-02-(0[1-9]|1[0-9]|2[0-8])"
    "|([1-9][0-9](0[48]|[2468][048]|[13579][26])|([2468][048]|[13579][26])00)-02-29"
)
_HOUR = "([01][0-9]|2[0-3]):[0-5][0-9]"
# An unescaped plus sign in a URL arrives as a space.
MOMENT = f"^({_DAY})(T{_HOUR}(:[0-5][0-9]([.][0-9]{{1,6}})?)?(Z|[+ -]{_HOUR})?)?$"

EXPECTED_MOMENT = "a date or a time in ISO 8601, such as 2026-01-31 or 2026-01-31T12:00:00Z"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_moment(text: str) -> int:
    """Microseconds since 1970. A time without a zone is UTC, a date is its midnight. Raises ValueError."""
    if not re.fullmatch(MOMENT, text):
        raise ValueError(text)
    moment = datetime.fromisoformat(text.replace(" ", "+"))
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1)


def moment_of(microseconds: int, timespec: str = "auto") -> str:
    """Microseconds since 1970 as ISO 8601 in UTC. A time after the year 9999 becomes the end of that year."""
    try:
        moment = _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        moment = datetime.max.replace(tzinfo=UTC)
    return moment.isoformat(timespec=timespec)
