"""Runs a command or a part of the service in a process that ends before one of its steps, as if `kill -9` came at that
moment."""

import itertools
import multiprocessing
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

from peewee import Database

from service.__main__ import main
from service.registry import release
from service.storage.models import store as model_store

KILLED = -signal.SIGKILL
PART_BYTES = 2048  # so that the models of the tests have several parts

_STEPS = ((Database, "execute_sql"), (Database, "commit"), (os, "link"), (os, "unlink"))
_processes = multiprocessing.get_context("forkserver")
# A process then starts without its imports, which take seconds.
_processes.set_forkserver_preload([__name__, "tests.support.killed_learning", "tests.support.killed_labels"])


def run(arguments: tuple[str, ...], variables: Mapping[str, str], output: Path, die_before: int = 0) -> int:
    """Runs `python -m service` with these arguments and returns its exit code, as `run_call` does. It skips the proof
    of a model, which takes seconds."""
    return run_call(_command, (arguments,), variables, output, die_before)


def run_call(
    call: Callable[..., None],
    arguments: tuple[Any, ...],
    variables: Mapping[str, str],
    output: Path,
    die_before: int = 0,
) -> int:
    """Calls a function of a module in another process and returns the exit code. The process kills itself before the
    step `die_before`: a statement that may write, a commit, or the link to the new key file or its removal, counted
    from 1. Its output goes to a file. If it ends by itself, the number of its steps is in the file `steps` there."""
    process = _processes.Process(target=_run, args=(call, arguments, dict(variables), output, die_before))
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def _run(
    call: Callable[..., None], arguments: tuple[Any, ...], variables: Mapping[str, str], output: Path, die_before: int
) -> None:
    os.environ.update(variables)
    model_store.PART_BYTES = PART_BYTES
    steps = itertools.count(1)
    for owner, name in _STEPS:
        setattr(owner, name, _deadly(getattr(owner, name), steps, die_before))
    with output.open("w") as file, redirect_stdout(file), redirect_stderr(file):
        call(*arguments)
    output.with_name("steps").write_text(str(next(steps) - 1))


def _command(arguments: tuple[str, ...]) -> None:
    with patch.object(release, "prove", return_value={}):
        main(arguments)


def _deadly(step: Callable[..., Any], steps: "itertools.count[int]", die_before: int) -> Callable[..., Any]:
    def counted(*arguments: Any, **options: Any) -> Any:
        if not _is_query(arguments) and next(steps) == die_before:
            os.kill(os.getpid(), signal.SIGKILL)
        return step(*arguments, **options)

    return counted


def _is_query(arguments: tuple[Any, ...]) -> bool:
    """Whether these are the arguments of a statement that changes nothing."""
    return len(arguments) > 1 and str(arguments[1]).lstrip().startswith(("SELECT", "PRAGMA"))
