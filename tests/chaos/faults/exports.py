"""A reset whose export does not fit on the disk."""

import resource
import time
from collections.abc import Callable
from pathlib import Path

from tests.chaos.administrator import Administrator
from tests.chaos.audits.erasures import audit_erased
from tests.chaos.faults.files import fill_up, limit_files, small_file_system
from tests.chaos.outcome import RECOVERY_SECONDS, Outcome, Scale, concluded
from tests.chaos.recorder import Recorder
from tests.chaos.stage import Stage, until

_ROOM_BYTES = 64 * 1024
_ROWS = 1000  # more than fit in the room


def export_may_not_grow(stage: Stage, scale: Scale) -> Outcome:
    """The files of the service are limited (RLIMIT_FSIZE). With PostgreSQL that concerns only the exports."""

    def fill() -> None:
        limit_files(stage, _ROOM_BYTES)

    def mend() -> None:
        limit_files(stage, resource.RLIM_INFINITY)

    return _refused("resets whose export may not grow (RLIMIT_FSIZE)", stage, scale, fill, mend)


def export_meets_full_file_system(folder: Path, scale: Scale) -> Outcome:
    """Another program fills the file system of EXPORTS. Requires root."""
    with small_file_system(folder) as disk:
        exports, other = disk / "exports", disk / "other"
        with Stage(folder, f"sqlite:///{folder}/log.db", variables={"EXPORTS": str(exports)}) as stage:
            name = "resets with the file system of EXPORTS full"
            return _refused(name, stage, scale, lambda: fill_up(other), other.unlink)


def _refused(name: str, stage: Stage, scale: Scale, fill: Callable[[], object], mend: Callable[[], object]) -> Outcome:
    """Resets fail without a trace and predictions go on; when there is room again, a reset is answered."""
    with Recorder(stage.port) as recorder, Administrator(stage) as administrator:
        until(lambda: len(recorder.acknowledged()) > _ROWS)
        fill()
        answers = [administrator.reset() for _ in range(5 * scale.repeats)]
        left = administrator.other_files()
        recovery = recorder.recovery(time.monotonic())
        refused = sum(one.status_code == 503 and "EXPORTS" in one.json()["detail"] for one in answers)
        mend()
        administrator.reset()
        recovery = max(recovery, recorder.recovery(time.monotonic()))
    found = audit_erased(stage, recorder, administrator)
    found.blame("a reset that was not refused", len(answers) - refused)
    found.blame("a file that a refused reset left", left)
    found.blame("a reset with room that was not answered 200", administrator.resets != 1)
    found.blame("a prediction that was refused", recorder.total("unavailable"))
    found.blame("recovered late", recovery > RECOVERY_SECONDS)
    return concluded(name, stage, recorder, found, recovery, refused=refused)
