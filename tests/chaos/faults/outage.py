"""A time in which the database cannot be had, and what the service must do and say meanwhile and after."""

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
    """Breaks, waits, mends; the seconds until every sender is answered 200 again. Meanwhile the health that the
    service tells must be true, and quick where it does not depend on the database; where the fault `kills` workers, a
    question may also get no answer. With `refuses_all` no request of that time may be answered 200; one that is
    `partial` lets some through, and the service may then also call itself ready."""
    with Watch(stage.port) as watch:
        begin()
        began = time.monotonic()
        time.sleep(_IN_HAND_SECONDS)
        before = len(recorder.acknowledged())
        time.sleep(seconds - _IN_HAND_SECONDS)
        during = len(recorder.acknowledged()) - before
        ended = time.monotonic()
        end()
        mended = time.monotonic()
        recovery = recorder.recovery(mended)
        until(lambda: watch.told["/readyz"][-1].status == 200)
    untruths = watch.untruths(began, ended, mended - ended + RECOVERY_SECONDS, kills=kills, partial=partial)
    assert not untruths, untruths
    assert watch.slowest("/livez") < _LIVEZ_SECONDS
    assert recorder.total("unavailable"), "no request met the outage"
    assert not (refuses_all and during), f"{during} requests were answered 200"
    return recovery
