"""What the processes of learning have in common, and how their parents end them."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

LOWEST_PRIORITY = 19
PATIENCE_SECONDS = 30.0  # for the lock of a SQLite file, longer than a request may wait

_AUTOGROUP = Path("/proc/self/autogroup")  # see sched(7)
_GRACE_SECONDS = 5.0  # for a child to end after SIGTERM


def take_lowest_priority() -> None:
    """Lets all other processes go first. Linux shares the processors among sessions before it looks at priorities, so a
    process that leads a session, as one that systemd or cron started, lowers that of its session too."""
    os.nice(LOWEST_PRIORITY)
    if os.getsid(0) == os.getpid():
        with suppress(OSError):  # there is no such file on another system, or on a kernel without it
            _AUTOGROUP.write_text(str(LOWEST_PRIORITY))


def end(child: "subprocess.Popen[Any]") -> None:
    """Ends a child that still runs, and all that it started. The child leads a session of its own."""
    if child.poll() is not None:
        return
    child.terminate()
    try:
        child.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
