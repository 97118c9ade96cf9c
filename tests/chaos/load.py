"""Overload, and load for a long time."""

import time
from dataclasses import dataclass

from tests.chaos.audits.labels import audit_log
from tests.chaos.faults.flood import Flood
from tests.chaos.outcome import RECOVERY_SECONDS, Outcome, Scale, outcome
from tests.chaos.recorder import Recorder
from tests.chaos.stage import Stage

_SATURATING = 64
_WARM_UP_REQUESTS = 5000
_LATENCY_SECONDS = 20.0  # the promise of REQUEST_TIMEOUT
_GROWTH_BYTES = 24 * 1024 * 1024
_DESCRIPTORS = 4  # a worker may open a connection for /readyz, and reopen its own


@dataclass(frozen=True, slots=True)
class Held:
    """The resources of the workers: the largest private memory of one, and the descriptors of all."""

    bytes: int
    descriptors: int

    @staticmethod
    def by(stage: Stage) -> "Held":
        """Measures the workers now."""
        workers = stage.workers()
        return Held(max(worker.memory_full_info().uss for worker in workers), sum(w.num_fds() for w in workers))


def twice_the_rate(stage: Stage, scale: Scale) -> Outcome:
    """Requests at twice the rate that the service can answer, sent without waiting for answers."""
    warm = Flood(stage.port, "warm")
    rate = warm.closed(_SATURATING, _WARM_UP_REQUESTS)
    flood = Flood(stage.port, "flood")
    flood.open(2 * rate, 1.0)  # queues and connections reach their full size before the measurement
    before = Held.by(stage)
    again = Flood(stage.port, "again")
    again.open(2 * rate, scale.load_seconds)
    ended = time.monotonic()
    with Recorder(stage.port) as recorder:
        recovery = recorder.recovery(ended)
    after = Held.by(stage)
    floods = (warm, flood, again)
    acknowledged = [one for each in floods for one in each.acknowledged()] + recorder.acknowledged()
    labelled = [one for each in floods for one in each.labelled] + recorder.labelled()
    found = audit_log(stage.database_url, acknowledged, labelled)
    for each in floods:
        for status, count in each.statuses.items():
            found.blame(f"status {status}", 0 if status in (200, 503) else count)
    latencies = sorted(again.latencies)
    found.blame("latency is not bounded", latencies[-1] > _LATENCY_SECONDS)
    found.blame("recovered late", recovery > RECOVERY_SECONDS)
    found.blame("memory grew", after.bytes - before.bytes > _GROWTH_BYTES)
    found.blame("a failure in the log", stage.failures())
    name = f"twice the saturation rate for {scale.load_seconds:g} s, open loop"
    figures = {
        "per_second": 2 * rate,
        "answered_503": again.statuses[503],
        "not_sent": again.held_back,
        "p50_seconds": latencies[len(latencies) // 2],
        "p99_seconds": latencies[len(latencies) * 99 // 100],
        "worst_seconds": latencies[-1],
        "grown_mb": (after.bytes - before.bytes) / 1e6,
    }
    return outcome(name, stage, sum(each.predictions for each in floods), found, recovery, **figures)


def soak(stage: Stage, scale: Scale) -> Outcome:
    """Many requests without a pause: memory and descriptors must not grow after the first quarter."""
    part = scale.soak_requests // 4
    floods: list[Flood] = []
    held: list[Held] = []
    for number in range(4):
        floods.append(Flood(stage.port, f"soak-{number}"))
        floods[-1].closed(_SATURATING, part)
        held.append(Held.by(stage))
    acknowledged = [one for flood in floods for one in flood.acknowledged()]
    labelled = [one for flood in floods for one in flood.labelled]
    found = audit_log(stage.database_url, acknowledged, labelled, exact=True)
    for flood in floods:
        found.blame("no 200", sum(flood.statuses.values()) - flood.statuses[200])
    grown = held[-1].bytes - held[0].bytes
    leaked = held[-1].descriptors - held[0].descriptors
    found.blame("memory grew", grown > _GROWTH_BYTES)
    found.blame("descriptors leaked", leaked > _DESCRIPTORS)
    found.blame("a failure in the log", stage.failures())
    figures = {"grown_mb": grown / 1e6, "descriptors": leaked, "worker_mb": held[-1].bytes / 1e6}
    return outcome(f"{4 * part:,} requests on end", stage, sum(flood.predictions for flood in floods), found, **figures)
