"""A worker that may open no more descriptors."""

import itertools
import resource
import time
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path

from tests.chaos.audits.labels import audit_log
from tests.chaos.faults.connections import Fate, fate, is_served
from tests.chaos.outcome import RECOVERY_SECONDS, Outcome, Scale, concluded
from tests.chaos.recorder import Recorder
from tests.chaos.stage import Stage, until

_TAKEN_AWAY = 3
_EVEN = 10
_BALANCE_SECONDS = 5.0
_SETTLED_SECONDS = 2.0  # a worker looks once a second
_ATTEMPTS = 20
_SECONDS = 2.0
_WITHIN_SECONDS = 10.0


def descriptors_are_exhausted(stage: Stage, scale: Scale) -> Outcome:
    """The limit of each worker (RLIMIT_NOFILE) is lowered below what it uses: new connections are served or refused at
    once, kept ones go on, and everything works again when the limit is raised."""
    until(lambda: len(stage.workers()) == 2)
    fates: Counter[Fate] = Counter()
    late = longest = 0.0
    with Recorder(stage.port) as recorder:
        recorder.recovery(time.monotonic())
        _wait_for_balance(stage)
        for number in range(scale.repeats):
            before = _lowered(stage)
            ended = time.monotonic() + _SECONDS
            with ExitStack() as kept:
                while fates.total() < _ATTEMPTS * (number + 1) and not fates[Fate.LEFT]:
                    fates[fate(stage.port, kept)] += 1
                time.sleep(max(0.0, ended - time.monotonic()))
                late = max(late, recorder.recovery(time.monotonic(), _WITHIN_SECONDS))
            _raised(stage, before)
            mended = time.monotonic()
            until(lambda: is_served(stage.port))
            longest = max(longest, time.monotonic() - mended, recorder.recovery(mended))
    found = audit_log(stage.database_url, recorder.acknowledged(), recorder.labelled())
    for each in (Fate.LEFT, Fate.BROKEN):
        found.blame(f"a new connection that was {each.value}", fates[each])
    found.blame("no new connection was refused", not fates[Fate.REFUSED])
    found.blame("a request on a kept connection that was not answered 200", _unanswered(recorder))
    found.blame("kept connections waited", late > RECOVERY_SECONDS)
    found.blame("recovered late", longest > RECOVERY_SECONDS)
    return concluded("no descriptor left", stage, recorder, found, longest, refused=fates[Fate.REFUSED])


def _wait_for_balance(stage: Stage) -> None:
    """Waits a while until the workers have about as many connections. Until then, a worker may ask clients to connect
    again."""
    with suppress(AssertionError):
        until(lambda: abs(stage.workers()[0].num_fds() - stage.workers()[1].num_fds()) < _EVEN, _BALANCE_SECONDS)
    time.sleep(_SETTLED_SECONDS)


def _lowered(stage: Stage) -> int:
    """Lowers the limit of the workers below what they use, and returns the one before."""
    before = 0
    for worker in stage.workers():
        used = {int(each.name) for each in Path(f"/proc/{worker.pid}/fd").iterdir()}
        lowest_free = next(number for number in itertools.count() if number not in used)
        before, hard = resource.prlimit(worker.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (lowest_free - _TAKEN_AWAY, hard))
    return before


def _raised(stage: Stage, most: int) -> None:
    for worker in stage.workers():
        _, hard = resource.prlimit(worker.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (most, hard))


def _unanswered(recorder: Recorder) -> int:
    return sum(recorder.total(name) for name in ("interrupted", "cut", "unavailable"))
