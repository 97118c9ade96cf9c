"""Concurrent callers of a report share one."""

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from service.batching import Batcher, run_here
from service.monitoring.monitor import Report, Reports
from service.prediction.filter import DriftQuery, PerformanceQuery, Selection
from tests.support.waiting import WAIT_SECONDS, until

ALL, OTHER = PerformanceQuery(Selection()), PerformanceQuery(Selection("a" * 12))


class HeldReports:
    """Reports that note their queries. The first one waits until `go_on` is set."""

    def __init__(self) -> None:
        self.queries: list[Any] = []
        self.go_on = threading.Event()

    def prepared(self, query: Any) -> Report:
        return lambda: self._report(query)

    def _report(self, query: Any) -> dict[str, Any]:
        self.queries.append(query)
        assert self.go_on.wait(WAIT_SECONDS)
        return {"query": query}


def test_callers_that_wait_with_the_same_query_share_one_report() -> None:
    held, waiting = HeldReports(), [0]
    batched: Any = partial(Batcher, run=run_here, max_pending=100, timeout=WAIT_SECONDS, on_queue_depth=waiting.append)
    reports = Reports(lambda report: report(), batched)
    submit = partial(reports.submit, held)  # type: ignore[arg-type]
    with ThreadPoolExecutor(12) as pool:
        first = pool.submit(submit, ALL)
        until(lambda: held.queries == [ALL])
        later = [pool.submit(submit, query) for query in (ALL, OTHER) * 5]
        drift = pool.submit(submit, DriftQuery(Selection()))
        until(lambda: waiting[-1] == 11)
        held.go_on.set()
        answers = [each.result(WAIT_SECONDS) for each in (first, *later, drift)]

    assert sorted(map(held.queries.count, (ALL, OTHER, DriftQuery(Selection())))) == [1, 1, 2]
    assert [answer["query"] for answer in answers] == [ALL, *(ALL, OTHER) * 5, DriftQuery(Selection())]
