"""A pytest plugin that records which functions of the project each test runs, for `mutants`."""

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

_ROOT = str(Path(__file__).parents[2])
_FOLDERS = tuple(os.path.join(_ROOT, name) + os.sep for name in ("service", "serialize"))

_tests: dict[str, dict[str, Any]] = {}
_now: set[str] = set()


def _record(frame: FrameType, event: str, argument: Any) -> None:
    code = frame.f_code
    if event == "call" and code.co_filename.startswith(_FOLDERS):
        _now.add(f"{code.co_filename[len(_ROOT) + 1 :]}:{code.co_firstlineno}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Measures a test with its fixtures."""
    _tests[item.nodeid] = {"setup": [], "call": [], "passed": True}
    started = time.monotonic()
    yield
    _tests[item.nodeid]["seconds"] = time.monotonic() - started


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """Records what the fixtures run in this process."""
    yield from _traced(item, "setup")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Records what the test runs in this process."""
    yield from _traced(item, "call")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Notes a test that does not pass."""
    if report.outcome != "passed" and report.nodeid in _tests:
        _tests[report.nodeid]["passed"] = False


def _traced(item: pytest.Item, phase: str) -> Iterator[None]:
    _now.clear()
    sys.setprofile(_record)
    threading.setprofile(_record)
    try:
        return (yield)
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
        _tests[item.nodeid][phase] = sorted(_now)


def pytest_sessionfinish() -> None:
    """Writes the record of this process to a file in the folder TRACE."""
    (Path(os.environ["TRACE"]) / f"{os.getpid()}.json").write_text(json.dumps(_tests))
