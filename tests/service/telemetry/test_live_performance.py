"""A scrape never waits for the live metrics; they are recomputed only if they are old enough."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.errors import Unavailable
from service.telemetry import metric_definitions as metrics
from service.telemetry.live_performance import LivePerformance

FIGURE = {"value": 0.5, "low": 0.25, "high": None, "training": 0.75}
REPORT: dict[str, Any] = {"count": 4, "labelled": 2, "coverage": 0.5, "metrics": {"accuracy": FIGURE}}


class Later:
    """Keeps background jobs until `do` runs them."""

    def __init__(self) -> None:
        self.jobs: list[Callable[[], None]] = []

    def __call__(self, job: Callable[[], None]) -> None:
        self.jobs.append(job)

    def do(self) -> None:
        """Runs the jobs."""
        while self.jobs:
            self.jobs.pop()()


@pytest.fixture
def later() -> Later:
    return Later()


def figures(folder: Path, later: Later, report: Callable[[], dict[str, Any]] = lambda: REPORT) -> LivePerformance:
    return LivePerformance("v", report, lambda: folder, later)


def keep(folder: Path, *, age: float, took: float) -> None:
    kept = {"report": REPORT, "at": time.time() - age, "took": took}
    (folder / "performance-v.json").write_text(json.dumps(kept))


def test_the_first_scrape_gets_nothing_and_starts_one_computation(tmp_path: Path, later: Later) -> None:
    live = figures(tmp_path, later)

    live.refresh()
    live.refresh()

    assert not list(live.samples())
    assert len(later.jobs) == 1


def test_the_figures_of_another_version_are_not_taken(tmp_path: Path, later: Later) -> None:
    figures(tmp_path, later).refresh()
    later.do()

    assert not list(LivePerformance("w", lambda: REPORT, lambda: tmp_path, later).samples())


def test_the_next_scrape_gets_the_values_from_any_worker(tmp_path: Path, later: Later) -> None:
    figures(tmp_path, later).refresh()
    later.do()

    read = {sample.metric: sample for sample in figures(tmp_path, later).samples()}

    assert [read[one].value for one in (metrics.LOGGED, metrics.LABELLED, metrics.LABELLED_SHARE)] == [4, 2, 0.5]
    assert read[metrics.PERFORMANCE].labels == {"model_version": "v", "metric": "accuracy"}
    assert [
        read[one].value for one in (metrics.PERFORMANCE, metrics.PERFORMANCE_LOW, metrics.PERFORMANCE_TRAINING)
    ] == [
        0.5,
        0.25,
        0.75,
    ]
    assert metrics.PERFORMANCE_HIGH not in read
    assert read[metrics.PERFORMANCE_AT].value == pytest.approx(time.time(), abs=60)


@pytest.mark.parametrize(
    ("age", "took", "is_computed"),
    [(0.0, 0.01, False), (2.0, 0.01, True), (100.0, 10.0, False), (300.0, 10.0, True), (-3600.0, 0.01, True)],
)
def test_values_older_than_twenty_computations_are_refreshed(
    age: float, took: float, is_computed: bool, tmp_path: Path, later: Later
) -> None:
    keep(tmp_path, age=age, took=took)

    figures(tmp_path, later).refresh()

    assert bool(later.jobs) is is_computed


def test_if_the_log_cannot_be_read_the_old_values_stay(tmp_path: Path, later: Later) -> None:
    def fail() -> dict[str, Any]:
        raise Unavailable("The log cannot be read now.")

    keep(tmp_path, age=60.0, took=0.01)
    live = figures(tmp_path, later, fail)
    before = list(live.samples())

    live.refresh()
    later.do()

    assert list(live.samples()) == before
    live.refresh()
    assert later.jobs
