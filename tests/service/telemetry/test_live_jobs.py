"""The metrics of the jobs are those of the last refresh, whichever worker made it."""

from pathlib import Path
from typing import Any

from service.telemetry import metric_definitions as metrics
from service.telemetry.live_jobs import LiveJobs

FIGURES: dict[str, Any] = {"states": {"queued": 1, "failed": 2}, "newest": {"retrain": "queued"}, "worker_seen": 0.5}


def refreshed(folder: Path, figures: dict[str, Any]) -> list[tuple[Any, Any, float]]:
    """The samples after a refresh, as another worker reads them."""
    LiveJobs(lambda: figures, lambda: folder, lambda job: job()).refresh()
    other = LiveJobs(dict, lambda: folder, lambda _: None)
    return [(sample.metric, dict(sample.labels), sample.value) for sample in other.samples()]


def test_each_state_the_newest_job_and_the_worker_are_samples(tmp_path: Path) -> None:
    assert refreshed(tmp_path, FIGURES) == [
        (metrics.JOBS, {"state": "queued"}, 1),
        (metrics.JOBS, {"state": "failed"}, 2),
        (metrics.NEWEST_JOB, {"kind": "retrain", "state": "queued"}, 1),
        (metrics.JOB_WORKER_AGE, {}, 0.5),
    ]


def test_without_a_worker_its_age_is_left_out(tmp_path: Path) -> None:
    found = refreshed(tmp_path, {**FIGURES, "worker_seen": None})

    assert metrics.JOB_WORKER_AGE not in [metric for metric, _, _ in found]


def test_before_the_first_refresh_there_is_nothing(tmp_path: Path) -> None:
    assert not list(LiveJobs(lambda: FIGURES, lambda: tmp_path, lambda _: None).samples())
