"""Runs a command in a process of its own, and tells how long it took and how much memory it used."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.passengers import PROJECT

_ONE_CORE = {1}


class Measured(NamedTuple):
    """Seconds of the work, without the start of the process, and of the whole command; the largest resident memory of
    the process, and the last line of its output."""

    seconds: float
    wall: float
    peak_mb: float
    told: str


def run(arguments: Sequence[str], variables: Mapping[str, str], folder: Path, *, one_core: bool = True) -> Measured:
    """Runs `python` with these arguments; the last line of its output may be JSON with `seconds`, or a number.
    Raises RuntimeError if it fails."""
    script = (
        "import resource, subprocess, sys, time; began = time.monotonic(); "
        "done = subprocess.run(sys.argv[1:], capture_output=True, text=True); wall = time.monotonic() - began; "
        "peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss; "
        "sys.stderr.write(done.stderr); sys.stdout.write(done.stdout); "
        "sys.stdout.write(f'\\n{wall} {peak}\\n'); sys.exit(done.returncode)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(PROJECT), **variables},
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=(lambda: os.sched_setaffinity(0, _ONE_CORE)) if one_core else None,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    *output, figures = done.stdout.strip().splitlines()
    wall, peak = map(float, figures.split())
    told = next((line for line in reversed([*output, *done.stderr.splitlines()]) if line), "")
    return Measured(_seconds(told, wall), wall, peak / 1024, told)


def _seconds(told: str, wall: float) -> float:
    """The seconds that a command tells, or those of the whole command."""
    try:
        found = json.loads(told)
    except ValueError:
        return wall
    return float(found["seconds"] if isinstance(found, dict) else found)
