"""Limits the memory of a process, so that what a model does there harms no other process."""

import math
import resource
from pathlib import Path
from typing import Any

_SHARE_OF_FREE_MEMORY = 0.8
_CGROUP = Path("/sys/fs/cgroup")


def limit_memory() -> None:
    """Limits this process to a share of the memory that the machine and its container have free now."""
    free = min(_free_of_machine(), _free_of_container())
    wanted, hard = int(free * _SHARE_OF_FREE_MEMORY), resource.getrlimit(resource.RLIMIT_DATA)[1]
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)  # a limit may not be raised again
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _free_of_machine() -> float:
    lines: dict[str, Any] = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return int(lines["MemAvailable"].split()[0]) * 1024


def _free_of_container() -> float:
    """Unlimited unless version 2 of cgroups sets a limit. The cache of files that were not used lately counts as free:
    the kernel drops it when a process needs memory."""
    try:
        limit, used, parts = ((_CGROUP / name).read_text() for name in ("memory.max", "memory.current", "memory.stat"))
    except OSError:
        return math.inf
    if limit.strip() == "max":
        return math.inf
    cache = int(dict(line.split() for line in parts.splitlines()).get("inactive_file", 0))
    return max(0, int(limit) - int(used) + cache)
