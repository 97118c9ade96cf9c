"""How a worker ends a process that it started."""

import os
import signal
import subprocess
from contextlib import suppress
from typing import Any

_GRACE_SECONDS = 5.0  # for a child to end after SIGTERM


def end(child: "subprocess.Popen[Any]") -> None:
    """Ends a child that still runs, and all that it started."""
    if child.poll() is not None:
        return
    child.terminate()
    try:
        child.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
