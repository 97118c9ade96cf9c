"""A database outage, and the required behaviour of the service during and after it."""

import time
from collections.abc import Callable

from tests.chaos.outcome import RECOVERY_SECONDS
from tests.chaos.recorder import Recorder
from tests.chaos.stage import Stage, until
from tests.chaos.watch import Watch

_LIVEZ_SECONDS = 2.0
_IN_HAND_SECONDS = 0.5


def outage(
    stage: Stage,
    recorder: Recorder,
    begin: Callable[[], object],
    end: Callable[[], object],
    seconds: float,
    *,
    kills: bool = False,
    refuses_all: bool = False,
    partial: bool = False,
) -> float:
    """Breaks the database, waits, repairs it, and returns the seconds until every sender got a 200 again.

    During the outage the health checks must be right, and /livez must be quick. A fault that `kills` workers may leave
    them without an answer. With `refuses_all` no request may get a 200. A `partial` outage lets some requests through,
    and /readyz may then answer 200."""
    with Watch(stage.port) as watch:
        begin()
        began = time.monotonic()
        time.sleep(_IN_HAND_SECONDS)
        before = _answered(recorder)
        time.sleep(seconds - _IN_HAND_SECONDS)
        during = _answered(recorder) - before
        ended = time.monotonic()
        end()
        mended = time.monotonic()
        recovery = recorder.recovery(mended)
        until(lambda: watch.answers["/readyz"][-1].status == 200)
    errors = watch.errors(began, ended, mended - ended + RECOVERY_SECONDS, kills=kills, partial=partial)
    assert not errors, errors
    assert watch.slowest("/livez") < _LIVEZ_SECONDS
    assert recorder.total("unavailable"), "no request met the outage"
    assert not (refuses_all and during), f"{during} requests were answered 200"
    return recovery


def _answered(recorder: Recorder) -> int:
    """The number of requests that were answered 200."""
    return len(recorder.acknowledged()) + sum(one.answer is not None for one in recorder.labelled())
