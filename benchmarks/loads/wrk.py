"""Closed-loop load by wrk: as many requests as the server answers, each with an id of its own. Nothing is counted
unless the server answered the README's passenger right just before and every status was good."""

import itertools
import json
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from benchmarks.passengers import TOLERANCE, WrongAnswer

SCRIPT = Path(__file__).with_name("predict.lua")

_IDS_A_RUN = 1_000_000_000
_runs = itertools.count(time.time_ns() // 1_000_000_000 % 1_000_000)


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk counted: answers, answers a second, latencies in milliseconds, and requests that got no answer."""

    requests: int
    per_second: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    socket_errors: int


@dataclass(frozen=True, slots=True)
class Expected:
    """What every answer to an array must be: `items` objects, the first of which has a number in `member`."""

    member: str
    number: float
    items: int


def first_id() -> int:
    """The first of a thousand million ids that nothing else in this run, nor in a later one, sends."""
    return next(_runs) * _IDS_A_RUN


def require_wrk() -> None:
    """Raises ClickException where wrk is not installed."""
    if shutil.which("wrk") is None:
        raise click.ClickException("wrk is missing: install it with `apt-get install wrk` or `brew install wrk`.")


def run(
    url: str,
    templates: Path,
    connections: int,
    seconds: float,
    check: Callable[[], None],
    traceparent: bool = False,
    expected: Expected | None = None,
) -> Load:
    """Loads `url` with the templates in turn over the connections for the seconds, with a traceparent of its own in
    each request if `traceparent` is true. `check` raises WrongAnswer unless the server answers right; so does any
    request of the load that was answered with a bad status, or with another array than `expected`."""
    check()
    command = ["wrk", "--threads=1", f"--connections={connections}", f"--duration={max(1, round(seconds))}s"]
    script = [f"--script={SCRIPT}", "--timeout=20s", url, "--", str(templates), str(first_id())]
    script.append("true" if traceparent else "false")
    if expected is not None:
        script += [expected.member, str(expected.number), str(TOLERANCE), str(expected.items)]
    ran = subprocess.run([*command, *script], capture_output=True, text=True, check=False)
    if ran.returncode:
        raise click.ClickException(f"wrk ended with {ran.returncode}: {ran.stderr.strip() or ran.stdout.strip()}")
    return parsed(ran.stdout)


def parsed(output: str) -> Load:
    """What wrk and predict.lua printed. Raises WrongAnswer where a status was bad, an array was answered wrong, or
    nothing was answered."""
    lines = [line for line in output.splitlines() if line.startswith("{")]
    if not lines:
        raise WrongAnswer("wrk printed no summary")
    counted = json.loads(lines[-1])
    if counted["status_errors"]:
        raise WrongAnswer(f"{counted['status_errors']} of {counted['requests']} answers had a status of 400 or more")
    if counted["wrong_answers"]:
        raise WrongAnswer(f"{counted['wrong_answers']} of {counted['requests']} arrays were answered wrong")
    if not counted["requests"]:
        raise WrongAnswer("no request was answered")
    return Load(
        requests=counted["requests"],
        per_second=counted["requests"] / (counted["microseconds"] / 1e6),
        p50_ms=counted["p50_us"] / 1e3,
        p99_ms=counted["p99_us"] / 1e3,
        p999_ms=counted["p999_us"] / 1e3,
        socket_errors=counted["socket_errors"],
    )
