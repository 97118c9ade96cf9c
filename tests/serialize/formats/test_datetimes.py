"""Strings of RFC 3339 become exact nanoseconds and back, and everything else is refused."""

import re
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serialize.formats.datetimes import Datetimes, json_text, parse, seconds, short


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-5, minutes=-30)), None])))
def test_every_datetime_is_parsed_to_the_moment_that_python_gives(moment: datetime) -> None:
    found = parse(moment.isoformat())

    since = moment.replace(tzinfo=moment.tzinfo or UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    assert found.nanoseconds == (since // timedelta(microseconds=1)) * 1000
    assert (found.has_offset, found.is_date) == (moment.tzinfo is not None, False)


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_every_nanosecond_of_the_dtype_comes_back_from_its_string(count: int) -> None:
    datetimes = Datetimes("ns")

    text = datetimes.text(count)

    assert datetimes.nanoseconds(text) == count
    assert datetimes.array([text]).view("i8")[0] == count
    assert pd.Timestamp(text).as_unit("ns").value == count


@given(st.text(st.sampled_from("0123456789-+:.TtZz "), max_size=40) | st.text(max_size=30))
def test_any_text_is_parsed_or_raises_a_value_error(text: str) -> None:
    try:
        moment = parse(text)
    except ValueError:
        assert seconds(text) is None
    else:
        assert pd.Timestamp(text.upper()).year == int(text[:4])
        assert seconds(text) == moment.nanoseconds / 1e9


@pytest.mark.parametrize(
    ("unit", "longest", "too_long"),
    [
        ("s", ".000", ".5"),
        ("ms", ".123000", ".1234"),
        ("us", ".123456", ".1234567"),
        ("ns", ".123456789", ".1234567891"),
    ],
)
def test_a_fraction_is_refused_if_the_unit_cannot_hold_it(unit: Any, longest: str, too_long: str) -> None:
    datetimes = Datetimes(unit)

    assert datetimes.array([f"2024-05-31T12:00:00{longest}", None]).astype(str).tolist()[1] == "NaT"
    assert datetimes.nanoseconds(f"2024-05-31T12:00:00{longest}") % 10**9 == round(float(f"0{longest}") * 1e9)
    with pytest.raises(ValueError, match="2024"):
        datetimes.nanoseconds(f"2024-05-31T12:00:00{too_long}")


@pytest.mark.parametrize(
    ("datetimes", "valid", "invalid"),
    [
        (Datetimes("D"), "2024-05-31", "2024-05-31T00:00:00"),
        (Datetimes("us"), "2024-05-31T00:00:00", "2024-05-31T00:00:00Z"),
        (Datetimes("us", "UTC"), "2024-05-31T00:00:00Z", "2024-05-31T00:00:00"),
    ],
)
def test_a_column_takes_one_form_and_its_pattern_says_so(datetimes: Datetimes, valid: str, invalid: str) -> None:
    assert re.search(datetimes.pattern, valid)
    assert not re.search(datetimes.pattern, invalid)
    datetimes.nanoseconds(valid)
    with pytest.raises(ValueError, match="2024"):
        datetimes.nanoseconds(invalid)


def test_both_hours_of_the_end_of_summer_time_keep_their_offset() -> None:
    berlin = Datetimes("s", "Europe/Berlin")

    array = berlin.array(["2024-10-27T00:30:00Z", "2024-10-27T02:30:00+01:00", None])

    assert [None if value is pd.NaT else json_text(value) for value in array] == [
        "2024-10-27T02:30:00+02:00",
        "2024-10-27T02:30:00+01:00",
        None,
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (date(24, 5, 1), "0024-05-01"),
        (datetime(2024, 5, 1), "2024-05-01T00:00:00"),
        (pd.Timestamp("2024-05-01T00:00:00.000000001"), "2024-05-01T00:00:00.000000001"),
        (pd.Timestamp("2024-05-01", tz="Asia/Kathmandu"), "2024-05-01T00:00:00+05:45"),
        (pd.Timestamp("1880-01-01", tz="Europe/Berlin"), "1879-12-31T23:06:32+00:00"),
        (datetime(1880, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")), "1879-12-31T23:06:32+00:00"),
    ],
)
def test_training_values_are_written_as_rfc_3339(value: date, text: str) -> None:
    assert json_text(value) == text
    parse(text)


@pytest.mark.parametrize(
    ("zone", "least"), [(None, "0001-01-01T00:00:00"), ("America/New_York", "0001-01-02T00:00:00Z")]
)
def test_a_zone_leaves_a_day_for_local_time(zone: str | None, least: str) -> None:
    datetimes = Datetimes("us", zone, "datetime")

    assert datetimes.text(datetimes.limits[0]) == least
    assert len(datetimes.objects([datetimes.text(end) for end in datetimes.limits], None)) == 2


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0, "1970-01-01"), (-1.4, "1969-12-31T23:59:59"), (1717157400.6, "2024-05-31T12:10:01")]
)
def test_seconds_are_shown_as_a_date_or_to_the_second(value: float, shown: str) -> None:
    assert short(value) == shown


@pytest.mark.parametrize("value", [None, 1, 1.5, True, "", "x", "2024-02-30", ["2024-05-31"]])
def test_other_values_in_a_log_have_no_seconds(value: Any) -> None:
    assert seconds(value) is None


def test_an_array_of_a_zone_has_the_unit_and_the_zone() -> None:
    assert (
        str(Datetimes("ms", "Europe/Berlin").array(["2024-05-31T12:00:00Z"]).dtype) == "datetime64[ms, Europe/Berlin]"
    )
    assert Datetimes("ms").array(["2024-05-31T12:00:00"]).dtype == np.dtype("datetime64[ms]")
