"""A pytest plugin that records which functions of the project each test module runs, for `mutants`."""

import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

_ROOT = str(Path(__file__).parents[2])
_FOLDERS = tuple(os.path.join(_ROOT, name) + os.sep for name in ("service", "serialize"))

_ran: dict[str, set[str]] = {}
_now: set[str] = set()


def _record(frame: FrameType, event: str, argument: Any) -> None:
    code = frame.f_code
    if event == "call" and code.co_filename.startswith(_FOLDERS):
        _now.add(f"{code.co_filename[len(_ROOT) + 1 :]}:{code.co_firstlineno}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Records the functions that a test and its fixtures run in this process."""
    _now.clear()
    sys.setprofile(_record)
    threading.setprofile(_record)
    try:
        return (yield)
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
        _ran.setdefault(item.nodeid.partition("::")[0], set()).update(_now)


def pytest_sessionfinish() -> None:
    """Writes the record of this process to a file in the folder TRACE."""
    file = Path(os.environ["TRACE"]) / f"{os.getpid()}.json"
    file.write_text(json.dumps({module: sorted(ran) for module, ran in _ran.items()}))
