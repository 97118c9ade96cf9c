"""What the processes of learning have in common, and how their parents end them."""

import os
import signal
import subprocess
from contextlib import suppress
from typing import Any

PATIENCE_SECONDS = 30.0  # for the lock of a SQLite file, longer than a request may wait

_GRACE_SECONDS = 5.0  # for a child to end after SIGTERM


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
