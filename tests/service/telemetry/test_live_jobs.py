"""The metrics of the jobs are those of the last refresh, whichever worker made it."""

from pathlib import Path
from typing import Any

import pytest

from service.telemetry import metric_definitions as metrics
from service.telemetry.live_jobs import LiveJobs

FIGURES: dict[str, Any] = {
    "states": {"queued": 1, "failed": 2},
    "newest": {"retrain": "queued"},
    "worker_seen": 0.5,
    "verdict": ("a" * 12, "better"),
    "rolled_back_at": 1e9,
}


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
        (metrics.NEWEST_VERDICT, {"model_version": "a" * 12, "outcome": "better"}, 1),
        (metrics.WATCH_ROLLBACK_AT, {}, 1e9),
    ]


@pytest.mark.parametrize(
    ("figure", "left_out"),
    [
        ("worker_seen", metrics.JOB_WORKER_AGE),
        ("verdict", metrics.NEWEST_VERDICT),
        ("rolled_back_at", metrics.WATCH_ROLLBACK_AT),
    ],
)
def test_what_is_not_known_is_left_out(tmp_path: Path, figure: str, left_out: metrics.MetricSpec) -> None:
    found = refreshed(tmp_path, {**FIGURES, figure: None})

    assert left_out not in [metric for metric, _, _ in found]
    assert len(found) == 5


def test_before_the_first_refresh_there_is_nothing(tmp_path: Path) -> None:
    assert not list(LiveJobs(lambda: FIGURES, lambda: tmp_path, lambda _: None).samples())
