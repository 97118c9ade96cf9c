"""Datetimes and dates as strings of RFC 3339, and back as exact integers of nanoseconds since 1970.

A naive datetime counts as if it were in UTC. Integers keep nanoseconds and the years 1 to 9999 exact."""

import datetime as dt
import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

Unit = Literal["D", "s", "ms", "us", "ns"]
Element = Literal["date", "datetime", "Timestamp"]

DAY = 86_400 * 10**9

_NANOSECONDS = {"D": DAY, "s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_DIGITS = {"D": 0, "s": 0, "ms": 3, "us": 6, "ns": 9}
_FIRST_DAY = dt.date(1970, 1, 1).toordinal()
_LEAST = (1 - _FIRST_DAY) * DAY
_GREATEST = (dt.date.max.toordinal() + 1 - _FIRST_DAY) * DAY - 1
_INT64 = 2**63 - 1

DATE = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
TIME = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,18})?"
OFFSET = "([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"

_TEXT = re.compile(f"({DATE})(?:[Tt]({TIME})({OFFSET})?)?")


@dataclass(frozen=True, slots=True)
class Moment:
    """A parsed string: nanoseconds since 1970, whether it is a date alone, and whether it has an offset."""

    nanoseconds: int
    is_date: bool
    has_offset: bool


@dataclass(frozen=True, slots=True)
class Datetimes:
    """What a datetime column holds: its `unit` (D for dates), the name of its `zone`, None for naive values and dates,
    and the type of the Python objects in an object column. `earliest` and `latest` are the declared inclusive bounds
    as strings."""

    unit: Unit
    zone: str | None = None
    element: Element | None = None
    earliest: str | None = None
    latest: str | None = None

    @property
    def pattern(self) -> str:
        """A regular expression of the valid strings, without their limits."""
        if self.unit == "D":
            return f"^{DATE}$"
        return f"^{DATE}[Tt]{TIME}{OFFSET if self.zone else ''}$"

    @property
    def expected(self) -> str:
        """The valid strings, as a phrase for an error message."""
        least, greatest = self.limits
        if self.unit == "D":
            form = "a date such as 2024-05-31"
        else:
            form = f"an RFC 3339 datetime {'with' if self.zone else 'without'} an offset, such as 2024-05-31T12:30:00"
            form += "+02:00" if self.zone else ""
            digits = _DIGITS[self.unit]
            form += f", with at most {digits} decimals of a second" if digits else ", in whole seconds"
        form += f", from {self._plain(least)}" if least > _LEAST + DAY else ""
        return form + (f", up to {self._plain(greatest)}" if greatest < _GREATEST - DAY else "")

    @property
    def limits(self) -> tuple[int, int]:
        """The least and the greatest valid value in nanoseconds: the range of the dtype within the years 1 to 9999,
        narrowed by the bounds. A column with a zone loses a day at both ends, because local time must fit too."""
        step = _NANOSECONDS[self.unit]
        margin = DAY if self.zone else 0
        least = max(_LEAST, -_INT64 * step) + margin
        greatest = min(_GREATEST, _INT64 * step) - margin
        if self.earliest is not None:
            least = max(least, parse(self.earliest).nanoseconds)
        if self.latest is not None:
            greatest = min(greatest, parse(self.latest).nanoseconds)
        return least, greatest

    def nanoseconds(self, text: str) -> int:
        """The value of a string in nanoseconds. Raises ValueError for a string of another form, and for a fraction of a
        second that the unit cannot hold; the limits are not checked."""
        moment = parse(text)
        if moment.is_date != (self.unit == "D") or moment.has_offset != (self.zone is not None):
            raise ValueError(text)
        if moment.nanoseconds % _NANOSECONDS[self.unit]:
            raise ValueError(text)
        return moment.nanoseconds

    def text(self, nanoseconds: int) -> str:
        """The string of a value, rounded down to the unit and moved within the limits."""
        least, greatest = self.limits
        value = min(max(nanoseconds // _NANOSECONDS[self.unit] * _NANOSECONDS[self.unit], least), greatest)
        return self._plain(value)

    def array(self, texts: "list[str | None]") -> Any:
        """The n strings, NaT for None, as a numpy array of datetime64, or as a pandas array for a zone."""
        step = _NANOSECONDS[self.unit]
        counts = [-_INT64 - 1 if text is None else parse(text).nanoseconds // step for text in texts]
        values = np.array(counts, dtype=np.int64).view(f"datetime64[{self.unit}]")
        if self.zone is None:
            return values
        zone = pd.DatetimeTZDtype("ns", self.zone).tz
        return pd.DatetimeIndex(values).tz_localize("UTC").tz_convert(zone).array

    def objects(self, texts: "list[str | None]", null: Any) -> list[Any]:
        """The n strings as Python objects of the training type, `null` for None."""
        array = self.array(texts)
        if self.element == "date":
            return [null if text is None else day for text, day in zip(texts, array.tolist(), strict=True)]
        stamps = pd.DatetimeIndex(array)
        values = stamps if self.element == "Timestamp" else stamps.to_pydatetime()
        return [null if text is None else value for text, value in zip(texts, values, strict=True)]

    def _plain(self, nanoseconds: int) -> str:
        text = _text(nanoseconds)
        return text[:10] if self.unit == "D" else text + ("Z" if self.zone else "")


def parse(text: str) -> Moment:
    """Parses an RFC 3339 date or datetime; the offset may be missing. Raises ValueError for anything else, such as a
    leap second, 24:00 or a day that does not exist."""
    found = _TEXT.fullmatch(text)
    if found is None:
        raise ValueError(text)
    date, time, offset = found[1], found[2], found[5]
    whole = (dt.date.fromisoformat(date).toordinal() - _FIRST_DAY) * DAY
    if time is None:
        return Moment(whole, is_date=True, has_offset=False)
    seconds = int(time[:2]) * 3600 + int(time[3:5]) * 60 + int(time[6:8])
    if offset is not None and offset not in "Zz":
        ahead = int(offset[1:3]) * 3600 + int(offset[4:6]) * 60
        seconds -= ahead if offset[0] == "+" else -ahead
    fraction, rest = time[9:18].ljust(9, "0"), time[18:]
    if rest.strip("0"):
        raise ValueError(text)
    return Moment(whole + seconds * 10**9 + int(fraction), is_date=False, has_offset=offset is not None)


def seconds(value: Any) -> float | None:
    """A string in seconds since 1970, rounded to a double; None for anything that is no date or datetime."""
    try:
        return parse(value).nanoseconds / 10**9 if isinstance(value, str) else None
    except ValueError:
        return None


def short(value: float) -> str:
    """Seconds since 1970 as a string for people: the date alone at midnight, otherwise to the second."""
    text = _text(round(value) * 10**9)
    return text.removesuffix("T00:00:00")


def json_text(value: dt.date) -> str:
    """A date, datetime or Timestamp as a string of RFC 3339. Offsets have no seconds there, so that local mean time,
    before time zones, is written in UTC."""
    if isinstance(value, dt.datetime):
        offset = value.utcoffset()
        if offset is not None and offset % dt.timedelta(minutes=1):
            value = value.astimezone(dt.UTC)
    return value.isoformat()


def _text(nanoseconds: int) -> str:
    days, within = divmod(nanoseconds, DAY)
    second, fraction = divmod(within, 10**9)
    date = dt.date.fromordinal(days + _FIRST_DAY).isoformat()
    time = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
    digits = f"{fraction:09}".rstrip("0")
    return f"{date}T{time}" + (f".{digits}" if digits else "")
