"""The machine and the library versions of a measurement."""

import os
import platform
import re
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import psutil

from benchmarks.passengers import PROJECT
from benchmarks.venvs import PACKAGES, versions


def machine() -> dict[str, Any]:
    """Processor, cores, memory, system, and how busy the machine was before."""
    return {
        "cpu": _cpu(),
        "cores": psutil.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1024**3),
        "system": f"{platform.system()} {platform.machine()}",
        "load_before": round(os.getloadavg()[0], 2),
    }


def libraries(peers: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The versions of the service's dependencies in pyproject.toml, and of each peer by its interpreter."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    named = [re.split(r"[^\w-]", wanted)[0] for wanted in project["dependencies"]]
    own = {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version, "wrk": _wrk()}
    own |= _chosen(versions(sys.executable), named)
    return {
        "service": own,
        **{
            name: _chosen(versions(python), [re.split(r"[^\w-]", wanted)[0] for wanted in PACKAGES[name]])
            for name, python in peers.items()
        },
    }


def _chosen(installed: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    return {name: installed[name] for name in names if name in installed}


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    model = re.search(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE) if info.is_file() else None
    return model[1] if model else platform.processor() or platform.machine()


def _wrk() -> str:
    if shutil.which("wrk") is None:
        return "not installed"
    told = subprocess.run(["wrk", "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"wrk (?:\S*/)?(\S+)", told)
    return found[1] if found else "unknown"
