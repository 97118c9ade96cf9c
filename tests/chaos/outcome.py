"""The outcome of a fault, and the run that records it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.chaos.audits.labels import audit_log
from tests.chaos.audits.rows import Audit
from tests.chaos.recorder import Recorder
from tests.chaos.stage import Stage

RECOVERY_SECONDS = 2.0

Fault = Callable[[Recorder], float]


@dataclass(slots=True)
class Outcome:
    """One row of the table. `sent` and `acknowledged` count predictions; `lost`, `duplicated` and `wrong` count labels
    too, and `figures` has the number of acknowledged labels. `recovery` is the longest time in seconds until every
    sender got a 200 again. `caught` is for controls only: whether the audit found the expected error."""

    fault: str
    database: str
    sent: int
    acknowledged: int
    lost: int
    duplicated: int
    wrong: int
    recovery: float | None = None
    reasons: dict[str, int] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    caught: bool | None = None

    @property
    def is_good(self) -> bool:
        """Whether nothing was lost, stored twice or wrong; for a control, whether it was caught."""
        return self.caught if self.caught is not None else not (self.lost or self.duplicated or self.wrong)


@dataclass(frozen=True, slots=True)
class Scale:
    """Durations and repetitions: short in the tests, long in `make chaos`."""

    kills: int
    repeats: int
    outage_seconds: float
    lock_seconds: float
    load_seconds: float
    soak_requests: int
    bodies: int
    arrays: int
    promotions: int


SHORT = Scale(
    kills=20,
    repeats=1,
    outage_seconds=9,
    lock_seconds=7,
    load_seconds=4,
    soak_requests=8000,
    bodies=6,
    arrays=6,
    promotions=2,
)
LONG = Scale(
    kills=40,
    repeats=3,
    outage_seconds=20,
    lock_seconds=10,
    load_seconds=60,
    soak_requests=144_000,
    bodies=30,
    arrays=64,
    promotions=20,
)


def recorded(
    name: str,
    stage: Stage,
    fault: Fault,
    *,
    interrupts: bool = False,
    cuts: bool = False,
    exact: bool = False,
    retries: bool = False,
    recovers_within: float | None = None,
) -> Outcome:
    """Runs a fault while fifty senders record, then audits. `fault` returns the longest time to recover.

    A request may stay without an answer only if the fault `interrupts`, and an answer may be incomplete only if it
    `cuts`, because a process is killed. `exact` means that every stored prediction was also answered, so each id has
    exactly one first answer."""
    recorder = Recorder(stage.port, retries=retries)
    with recorder:
        recorder.recovery(time.monotonic())
        recovery = fault(recorder)
    found = audit_log(stage.database_url, recorder.acknowledged(), recorder.labelled(), exact=exact)
    found.blame("a label of an unknown id", len(recorder.unknown()))
    if not interrupts:
        found.blame("a request without an answer", recorder.total("interrupted"))
    if not cuts:
        found.blame("an answer that was broken off", recorder.total("cut"))
    if recovers_within is not None and recovery > recovers_within:
        found.blame("recovered late")
    return concluded(name, stage, recorder, found, recovery)


def concluded(
    name: str, stage: Stage, recorder: Recorder, found: Audit, recovery: float | None = None, **figures: float
) -> Outcome:
    """The row for a run with a recorder: adds the answers that must never occur, and the errors in the log."""
    found.blame("a failure in the log", stage.failures())
    for journal in (*recorder.journals, recorder.aside):
        for reason, count in journal.faults.items():
            found.blame(reason, count)
    figures |= {"answered_503": recorder.total("unavailable"), "without_an_answer": recorder.total("interrupted")}
    return outcome(name, stage, recorder.total("sent"), found, recovery, **figures)


def outcome(
    name: str, stage: Stage, sent: int, found: Audit, recovery: float | None = None, **figures: float
) -> Outcome:
    """The row for the result of an audit."""
    labels = {"labels": found.labels, "labels_lost": found.labels_lost, "labels_doubled": found.labels_doubled}
    database = "SQLite" if stage.database_url.startswith("sqlite") else "PostgreSQL"
    return Outcome(
        name,
        database,
        sent,
        found.acknowledged,
        found.lost + found.labels_lost,
        found.duplicated + found.labels_doubled,
        found.wrong,
        recovery,
        dict(found.reasons),
        figures | labels,
    )
