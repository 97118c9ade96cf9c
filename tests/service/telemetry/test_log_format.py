"""Log lines can be read by a person and split by a program, and nobody can forge one."""

import logging
import subprocess
import sys
from io import StringIO
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.telemetry.log_format import KeyValueFormatter, configure, event, event_record
from tests.support.passengers import PROJECT


def line(name: str, **fields: object) -> str:
    return KeyValueFormatter().format(event_record("service", logging.INFO, name, fields)).partition(" event=")[2]


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
    assert "test_log_format.py" in written
    assert "secret" not in written
    assert len(written.splitlines()) == 1


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> StringIO:
    """The log of a test, in the service's format."""
    stream = StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    configure("info")
    return stream


def test_a_line_does_not_wait_for_the_lock_of_the_handler(written: StringIO) -> None:
    handler = logging.getLogger().handlers[0]
    handler.acquire()
    try:
        logging_thread = Thread(target=event, args=(logging.getLogger("service"), logging.INFO, "hello"), daemon=True)
        logging_thread.start()
        logging_thread.join(60)
    finally:
        handler.release()

    assert not logging_thread.is_alive()
    assert written.getvalue().endswith("level=info event=hello\n")


def test_the_handler_can_be_flushed_and_closed_as_python_does_at_its_end(written: StringIO) -> None:
    handler = logging.getLogger().handlers[0]

    handler.flush()
    handler.close()

    assert written.getvalue() == ""


_BOTH = """
from gevent import monkey; monkey.patch_all()
import gevent, logging
from service.telemetry.log_format import configure, event
configure("info")
log = logging.getLogger("service")
def many(name):
    for i in range(200):
        event(log, logging.INFO, name, i=i)
pool = gevent.get_hub().threadpool
jobs = [pool.spawn(many, "native"), pool.spawn(many, "native"), *(gevent.spawn(many, "greenlet") for _ in range(2))]
gevent.joinall(jobs, raise_error=True, timeout=60)
assert all(job.ready() for job in jobs)
"""


def test_greenlets_and_native_threads_log_at_the_same_time() -> None:
    ran = subprocess.run([sys.executable, "-c", _BOTH], cwd=PROJECT, capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stderr) == (0, "")
    assert sorted(line.partition(" event=")[2] for line in ran.stdout.splitlines()) == sorted(
        f"{name} i={i}" for name in ("native", "greenlet") for i in range(200) for _ in range(2)
    )


_UNCAUGHT = """
from gevent import monkey; monkey.patch_all()
import gevent, logging
from service.telemetry import log_format
log_format.configure("info")
log_format.line_output()
log_format.configure("warning")  # as the application does: the output stays
gevent.get_hub().print_exception = log_format.log_uncaught
def fail():
    raise ValueError("SECRET")
class Failing:
    def __del__(self):
        fail()
gevent.spawn(fail).join()
Failing()
logging.getLogger("service").info("not shown")
"""


def test_exceptions_that_nobody_catches_become_lines_and_not_output_on_standard_error() -> None:
    ran = subprocess.run([sys.executable, "-c", _UNCAUGHT], cwd=PROJECT, capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stderr) == (0, "")
    lines = ran.stdout.splitlines()
    assert len(lines) == 2
    assert all("level=error event=error exception=ValueError trace=" in line for line in lines)
    assert "SECRET" not in ran.stdout


@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-"])
def test_lines_without_an_output_are_no_error(closed: str) -> None:
    shell = f"exec {sys.executable} -c \"import service.telemetry.log_format as f; f.line_output(); f.configure('info')"
    shell += f"; f.event(f.logging.getLogger('service'), 40, 'hello')\" {closed}"
    ran = subprocess.run(["sh", "-c", shell], cwd=PROJECT, capture_output=True, text=True, check=False)

    assert ran.returncode == 0
    assert ("event=hello" in ran.stderr) == (closed == ">&-")
