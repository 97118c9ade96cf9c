"""Work for the tests of jobs. `python -m tests.support.own_kinds` runs a worker that knows these kinds, and with
arguments the child that it starts."""

import os
import signal
import sys
import time
from collections.abc import Mapping
from typing import Any

from service.errors import Unavailable
from service.learning.reporter import Reporter
from service.settings import Settings

KINDS = {name: f"{__name__}:{name}" for name in ("count", "fail", "hang", "lose")}


def count(_: Settings, arguments: Mapping[str, Any], reporter: Reporter) -> Mapping[str, Any]:
    """Reports each number, and checks in a transaction that it may write."""
    for number in range(1, arguments["to"] + 1):
        reporter.progress(number / arguments["to"], f"It counts {number}.")
        reporter.session.run(reporter.require)
    return {"counted": arguments["to"]}


def fail(_: Settings, arguments: Mapping[str, Any], reporter: Reporter) -> Mapping[str, Any]:
    """Raises an error of Python."""
    raise ValueError("nothing fits\nand more")


def lose(_: Settings, arguments: Mapping[str, Any], reporter: Reporter) -> Mapping[str, Any]:
    """Ends as work does that cannot use the database."""
    raise Unavailable("The log cannot be written to now; repeat with the same id.")


def hang(_: Settings, arguments: Mapping[str, Any], reporter: Reporter) -> Mapping[str, Any]:
    """Tells its process, computes for ever and ignores SIGTERM, as a library in C may."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    reporter.progress(0.5, str(os.getpid()))
    while True:
        time.sleep(0.01)


def _main(arguments: list[str]) -> None:
    if arguments:
        from service.learning.child import main  # noqa: PLC0415

        main(KINDS, *map(int, arguments))
    else:
        from service.cli.worker import run  # noqa: PLC0415

        run((sys.executable, "-m", __spec__.name))


if __name__ == "__main__":
    _main(sys.argv[1:])
