"""What the benchmarks count, and what they refuse to count."""

import json
import re
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import click
import pytest

from benchmarks import result
from benchmarks.loads import open_loop, wrk
from benchmarks.passengers import ID, PASSENGER, PROBA, WrongAnswer, prediction, require_right
from benchmarks.report import comparison, growth, written
from tests.chaos.table import written as with_faults
from tests.support import passengers
from tests.support.answering import answering

SUMMARY = {
    "requests": 4200,
    "microseconds": 2_000_000,
    "status_errors": 0,
    "wrong_answers": 0,
    "socket_errors": 3,
    "p50_us": 800,
    "p99_us": 2500,
    "p999_us": 9000,
}
WRK = """Running 2s test @ http://127.0.0.1:5000/predict
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     3.81ms    1.05ms  20.00ms   92.11%
    Req/Sec     2.10k   120.00     2.30k    75.00%
  4200 requests in 2.00s, 1.40MB read
Requests/sec:   2100.00
Transfer/sec:    716.80KB
"""


def printed(**changes: Any) -> str:
    return f"{WRK}{json.dumps({**SUMMARY, **changes})}\n"


def test_what_wrk_printed_is_read_as_answers_a_second_and_milliseconds() -> None:
    found = wrk.parsed(printed())

    assert (found.requests, found.per_second) == (4200, 2100.0)
    assert (found.p50_ms, found.p99_ms, found.p999_ms) == (0.8, 2.5, 9.0)
    assert found.socket_errors == 3


@pytest.mark.parametrize(
    "output",
    [printed(status_errors=1), printed(wrong_answers=1), printed(requests=0), WRK],
    ids=["status", "wrong", "none", "cut"],
)
def test_a_load_with_a_bad_status_or_a_wrong_answer_or_without_answers_is_not_counted(output: str) -> None:
    with pytest.raises(WrongAnswer):
        wrk.parsed(output)


def test_no_two_loads_send_the_same_ids() -> None:
    first, second = wrk.first_id(), wrk.first_id()

    assert second - first >= 1_000_000_000
    assert second < 2**53  # as exact in wrk's Lua, whose numbers are doubles, as in JSON


def test_a_missing_wrk_is_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)

    with pytest.raises(click.ClickException, match="apt-get install wrk"):
        wrk.require_wrk()


def test_the_right_answer_is_the_one_that_the_readme_shows() -> None:
    assert (PASSENGER, PROBA) == (passengers.PASSENGER, passengers.PROBA)
    require_right(200, 0.0958079757989421)


@pytest.mark.parametrize(
    ("status", "proba"), [(500, PROBA), (307, PROBA), (200, None), (200, 0.0960), (200, 0.2234), (200, float("nan"))]
)
def test_a_wrong_answer_is_refused(status: int, proba: float | None) -> None:
    with pytest.raises(WrongAnswer):
        require_right(status, proba)


def answer(id_: int) -> bytes:
    return json.dumps({"id": 1, "observation_id": id_, "proba": PROBA}).encode()


def serving(answer_to: Callable[[int], bytes]) -> AbstractContextManager[str]:
    """The URL of a server that answers each id with a body."""
    return answering(lambda _, body: answer_to(json.loads(body)["id"]))


def test_an_open_loop_sends_at_moments_fixed_in_advance() -> None:
    moments = open_loop.moments(1000, 2.0)

    assert moments == open_loop.moments(1000, 2.0) == sorted(moments)
    assert len(moments) == pytest.approx(2000, rel=0.1)


def test_an_open_loop_charges_a_stall_to_all_who_wait_meanwhile() -> None:
    one_at_a_time = threading.Lock()

    def stalling(id_: int) -> bytes:
        with one_at_a_time:
            if id_ == 1005:
                time.sleep(0.3)
        return answer(id_)

    with serving(stalling) as url:
        found = open_loop.run(url, [prediction(PASSENGER)], 100, 0.5, 1000)

    assert found.worst_ms >= 300
    assert found.p50_ms > 20  # a closed loop would have one slow request and call the rest fast


def test_an_open_loop_refuses_an_answer_that_belongs_to_another() -> None:
    with serving(lambda id_: answer(id_ + (id_ == 1003))) as url, pytest.raises(WrongAnswer, match="another id"):
        open_loop.run(url, [prediction(PASSENGER)], 100, 0.2, 1000)


def contender(per_second: float, **more: Any) -> dict[str, Any]:
    return {
        "median": {"16": {"per_second": per_second}},
        "worker_mb": 80.4,
        "start_seconds": 1.23,
        "failure": None,
        **more,
    }


OPEN_LOAD = {"per_second": 2400.0, "p50_ms": 2.04, "p99_ms": 8.06, "p999_ms": 12.0}
RESULT: dict[str, Any] = {
    "subject": "comparison",
    "date": "2026-01-31T12:00:00+00:00",
    "machine": {"cpu": "A processor", "cores": 2, "memory_gb": 4},
    "versions": {"service": {"python": "3.11.7"}},
    "settings": {"rounds": 3, "seconds": 10.0, "connections": [16]},
    "contenders": {
        "service-sqlite": contender(4800.0, open_loop=OPEN_LOAD, livez={"p99_ms": 5.0, "worst_ms": 6.0}),
        "naive": contender(240.0),
        "constant, gevent": contender(8000.0),
        "constant, gthread": contender(6000.0),
        "mlflow": {**contender(1.0), "median": {}, "failure": "it answered wrong"},
    },
}


def test_the_table_says_how_many_times_as_many_the_service_answers() -> None:
    lines = comparison(RESULT).splitlines()

    assert lines[2] == "| **this service, SQLite** | 4,800 | 80 | 1.2 |"
    assert "| 240 (20.0) |" in lines[3]
    assert "p99 8.1" in comparison(RESULT)


def test_the_constant_is_that_of_the_gevent_worker_and_a_failure_has_no_figure() -> None:
    table = comparison(RESULT)

    assert "a constant answer under gunicorn's gevent worker | 8,000 (0.60) |" in table
    assert "6,000" not in table
    assert "MLflow, stores nothing | - |" in table


def test_a_row_with_a_traceparent_is_compared_with_the_service_with_one_and_with_the_row_without() -> None:
    traced = {"service-sqlite, traceparent": contender(4560.0), "constant, gevent, traceparent": contender(6000.0)}
    table = comparison({**RESULT, "contenders": {**RESULT["contenders"], **traced}})

    assert "| **this service, SQLite**, a traceparent of its own in each request | 4,560 | 80 | 1.2 |" in table
    assert "gevent worker, a traceparent of its own in each request | 6,000 (0.76) |" in table
    assert "at 16 connections: this service, SQLite 0.95; Flask-RESTful, a constant answer" in table
    assert "gevent worker 0.75. In brackets" in table
    assert "of the row, both with a traceparent if the row has one. Medians" in table
    assert "traceparent" not in comparison(RESULT)


def test_a_growing_log_is_loaded_with_a_traceparent_where_that_was_measured() -> None:
    load = {"per_second": 5000.0}
    size = {"rows": 10, "bytes_a_row": 200.0, "predict": load, "update": load}
    settings = {"connections": 16}

    old = growth({**RESULT, "settings": settings, "sizes": [size]})
    new = growth({**RESULT, "settings": settings, "sizes": [{**size, "predict-traceparent": {"per_second": 4600.0}}]})

    assert old.splitlines()[2] == "| 10 | 5,000 | 5,000 | 200 |"
    assert new.splitlines()[2] == "| 10 | 5,000 | 4,600 | 5,000 | 200 |"


def test_the_newest_result_is_written_between_the_markers_and_nothing_else_changes(tmp_path: Path) -> None:
    (tmp_path / "2026-01-30T120000Z.comparison.json").write_text("{}")
    (tmp_path / "2026-01-31T120000Z.comparison.json").write_text(json.dumps(RESULT))
    text = (
        "Before.\n<!-- benchmark -->\nold\n<!-- /benchmark -->\nAfter.\n<!-- benchmark arrays -->\n"
        "<!-- /benchmark -->\n"
    )

    once = written(text, tmp_path)

    assert once.startswith("Before.\n<!-- benchmark -->\n| requests/s")
    assert once.endswith("\n<!-- /benchmark -->\nAfter.\n<!-- benchmark arrays -->\n<!-- /benchmark -->\n")
    assert "old" not in once
    assert written(once, tmp_path) == once


@pytest.mark.parametrize("name", ["README.md", "docs/performance.md", "docs/score.md", "docs/models.md"])
def test_the_tables_of_the_documents_are_those_of_the_newest_results(name: str) -> None:
    text = (passengers.PROJECT / name).read_text()

    assert "<!-- benchmark" in text
    assert text == written(text, result.RESULTS), f"run `python -m benchmarks.report {name}`"


def test_the_table_of_faults_is_that_of_the_newest_result() -> None:
    text, newest = (passengers.PROJECT / "docs" / "reliability.md").read_text(), result.newest("chaos")

    assert newest is not None
    assert text == with_faults(text, newest)


def test_every_result_that_a_document_names_exists() -> None:
    documents = [passengers.PROJECT / "README.md", *(passengers.PROJECT / "docs").glob("*.md")]
    named = {name for path in documents for name in re.findall(r"benchmarks/results/(\S+\.json)", path.read_text())}

    assert named
    assert named <= {path.name for path in result.RESULTS.iterdir()}


def test_a_result_is_found_again_under_its_own_subject_only(tmp_path: Path) -> None:
    result.write("comparison-forest", {"seconds": 1}, tmp_path)

    found = result.newest("comparison-forest", tmp_path)

    assert found is not None
    assert found["seconds"] == 1
    assert result.newest("comparison", tmp_path) is None


def test_a_template_takes_an_id() -> None:
    assert json.loads(prediction(PASSENGER).replace(ID, "7")) == {"id": 7, "observation": PASSENGER}
