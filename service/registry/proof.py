"""Asks a new process to load a registered model and to prove it: what the model does to its process harms no other."""

import json
import os
import subprocess
import sys

from serialize.errors import ArtifactError

_SECONDS = 300


def prove(version: str, seconds: float | None = None) -> dict[str, int]:
    """Loads the model in a new process, which ends with this one, compares all golden rows, and parses the newest 1,000
    logged observations with its signature. Returns how many it refuses for each column. Raises ArtifactError if the
    model cannot be loaded, answers otherwise than when it was dumped, or takes more than `seconds`, by default 300.

    Under gevent call it in a greenlet: only the main thread can wait for a process, and its event loop goes on."""
    command = [sys.executable, "-m", "service.registry", version, str(os.getpid())]
    limit = _SECONDS if seconds is None else seconds
    try:
        ended = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, timeout=limit)
    except subprocess.TimeoutExpired as error:
        raise ArtifactError(f"Model {version} cannot be proven: it took more than {limit} s.") from error
    if ended.returncode:
        lines = ended.stderr.strip().splitlines()
        reason = lines[-1] if lines else f"it ended with status {ended.returncode}, perhaps for lack of memory"
        raise ArtifactError(f"Model {version} cannot be proven: {reason}")
    try:
        refused: dict[str, int] = json.loads(ended.stdout)
    except ValueError as error:
        raise ArtifactError(f"Model {version} cannot be proven: it ended the process that loads it.") from error
    return refused
