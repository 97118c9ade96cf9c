"""What a process that works beside a service sets for itself: its priority, and how much memory it keeps."""

import ctypes
import os
from contextlib import suppress
from pathlib import Path

LOWEST_PRIORITY = 19

_AUTOGROUP = Path("/proc/self/autogroup")  # see sched(7)
_KEPT_BYTES, _MAPPED_BYTES = 2**26, 2**25  # the second is the most that glibc allows
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h, see mallopt(3)


def take_lowest_priority() -> None:
    """Lets all other processes go first. Linux shares the processors among sessions before it looks at priorities, so a
    process that leads a session, as one that systemd or cron started, lowers that of its session too."""
    os.nice(LOWEST_PRIORITY)
    if os.getsid(0) == os.getpid():
        with suppress(OSError):  # there is no such file on another system, or on a kernel without it
            _AUTOGROUP.write_text(str(LOWEST_PRIORITY))


def keep_freed_memory() -> None:
    """Lets the C library keep up to 64 MB that were freed, for the next batch. Otherwise glibc may return the memory of
    each batch and then get it again page by page: a forest takes up to a third more time. Other C libraries have no
    such setting."""
    with suppress(AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_MMAP_THRESHOLD, _MAPPED_BYTES)
