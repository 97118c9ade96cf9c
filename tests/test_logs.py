"""Log lines can be read by a person and split by a program, and nobody can forge one."""

import logging
import sys

from hypothesis import given
from hypothesis import strategies as st

from service.logs import Event, KeyValueFormatter


def line(name: str, **fields: object) -> str:
    return KeyValueFormatter().format(Event("service", logging.INFO, name, fields)).partition(" event=")[2]


def test_fields_are_written_in_order_and_missing_ones_left_out() -> None:
    assert (
        line("request", method="POST", status=200, ms=1.2345, reason=None) == "request method=POST status=200 ms=1.23"
    )


def test_a_value_with_a_space_or_a_quote_is_a_json_string() -> None:
    assert line("x", id='a "b" c') == 'x id="a \\"b\\" c"'


@given(st.text())
def test_no_value_can_begin_another_line_or_another_pair(text: str) -> None:
    written = line("x", id=text)

    assert len(written.splitlines()) == 1
    assert written.isascii()
    assert written == f"x id={text}" or written.startswith('x id="')


def test_a_traceback_is_one_line_without_the_message() -> None:
    try:
        raise ValueError("secret\nvalue")
    except ValueError:
        record = logging.LogRecord("other", logging.ERROR, "", 0, "failed: %s", ("x",), sys.exc_info())

    written = KeyValueFormatter().format(record)

    assert "exception=ValueError" in written
    assert "test_logs.py" in written
    assert "secret" not in written
    assert len(written.splitlines()) == 1
