"""What goes wrong in another process or on a cluster is one sentence. Here without any process; see also test_pools."""

import signal
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from distributed.client import ClosedClientError
from distributed.comm.core import CommClosedError

from serialize.artifact import load_content
from serialize.content import read_content
from serialize.files.place_error import PlaceError
from serialize.files.places import input_files
from serialize.training import cluster as connection
from service.__main__ import main
from service.bulk.files.parts import Part, parts_of
from service.bulk.files.rows import CsvOptions
from service.bulk.runs import cluster, pools
from service.bulk.runs.job import Job, Task, Worker, answers, outcome
from service.bulk.runs.pools import Processes, in_order
from service.bulk.scoring.layout import Layout
from service.bulk.scoring.part_scorer import Counts, PartScorer, ScoredPart
from tests.support.passengers import ARTIFACTS, all_passengers


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ARTIFACTS", str(ARTIFACTS))
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/none.db")


@pytest.fixture
def given(tmp_path: Path) -> str:
    """A Parquet file with ten rows."""
    pq.write_table(pa.Table.from_pylist(all_passengers()[:10]), tmp_path / "a.parquet")
    return "a.parquet"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ("score", *arguments))


def a_job() -> Job:
    return Job(read_content(ARTIFACTS), True, Layout(None, ()), False, False, None)


def a_task(place: str) -> Task:
    return Task(next(parts_of(input_files([place])[0], CsvOptions())), "part", False, None, 1.0)


class Unsendable(Exception):
    """Like many exceptions of libraries, it cannot be made again from its message, as pickle does."""

    def __init__(self, column: str, value: object) -> None:
        super().__init__(f"{column} is {value}\nand more")


def test_an_exception_of_the_model_is_one_sentence_also_for_another_process(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(scorer: PartScorer, part: Part, *, ids_are_integers: bool) -> ScoredPart:
        raise Unsendable("Age", part.number)

    monkeypatch.setattr(PartScorer, "score", failing)
    sentence = "a.parquet cannot be scored: Unsendable: Age is 0"

    assert run(given, "-o", "out.csv").stderr == f"Error: {sentence}\n"
    job = a_job()
    found = outcome(Worker(job, load_content(job.content)), a_task(given))
    assert found == sentence
    with pytest.raises(PlaceError, match=sentence):
        answers(found)


class Killed(Executor):
    """Its processes are killed. It notes the signals that a new process would not get."""

    blocked: frozenset[int] = frozenset()

    def submit(self, *_: Any, **__: Any) -> "Future[Any]":
        Killed.blocked |= signal.pthread_sigmask(signal.SIG_BLOCK, ())
        done: Future[Any] = Future()
        done.set_exception(BrokenProcessPool())
        return done


def test_a_part_that_kills_its_process_is_one_sentence(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Processes, "_new", lambda _: Killed())

    ran = run(given, "-o", "out.csv", "--workers", "2")

    assert (ran.exit_code, ran.stderr) == (
        1,
        "Error: Processes were killed again and again while they scored a.parquet; look at the memory, or give fewer "
        "--workers.\n",
    )


def test_a_process_that_starts_does_not_get_ctrl_c(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Processes, "_new", lambda _: Killed())
    monkeypatch.setattr(Killed, "blocked", frozenset())

    run(given, "-o", "out.csv", "--workers", "2")

    assert signal.SIGINT in Killed.blocked
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


class Lost:
    """A client, and a part that it waits for, of a cluster that lost all workers."""

    def result(self, timeout: float) -> None:
        raise TimeoutError

    def nthreads(self) -> dict[str, int]:
        return {}


def test_a_cluster_without_workers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "PATIENCE_SECONDS", 0.05)

    with pytest.raises(PlaceError, match=r"The cluster of tcp://a:1 has no workers any more; start some\."):
        cluster._Sent(Lost(), Lost(), "tcp://a:1").result()


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (CommClosedError("gone"), r"The connection to the scheduler tcp://a:1 broke off\."),
        (ClosedClientError("gone"), r"The connection to the scheduler tcp://a:1 broke off\."),
        (ModuleNotFoundError("No module named 'x'"), "A worker of tcp://a:1 cannot score: ModuleNotFoundError: No mod"),
    ],
)
def test_what_a_cluster_raises_is_one_sentence(error: Exception, sentence: str) -> None:
    def failing(timeout: float) -> None:
        raise error

    with pytest.raises(PlaceError, match=sentence):
        cluster._Sent(SimpleNamespace(result=failing), None, "tcp://a:1").result()


def test_a_worker_with_other_versions_gives_a_sentence_for_each_part(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that joins after the versions were compared."""
    plugin = cluster.ModelPlugin("model", a_job())
    monkeypatch.setattr(connection, "version", lambda name: "0.1")

    plugin.setup(SimpleNamespace(address="tcp://a:2"))

    found = outcome(plugin.worker, a_task(given))
    assert isinstance(found, str)
    assert found.startswith("The worker tcp://a:2 has numpy 0.1, and this machine has ")


def test_a_worker_that_cannot_load_the_model_gives_a_sentence_for_each_part(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: Any, **__: Any) -> None:
        raise Unsendable("Age", 1)

    plugin = cluster.ModelPlugin("model", a_job())
    monkeypatch.setattr(Worker, "__init__", failing)

    plugin.setup(SimpleNamespace(address="tcp://a:2"))

    assert outcome(plugin.worker, a_task(given)) == "The model cannot be loaded: Unsendable: Age is 1"


def test_a_worker_without_the_plugin_gives_a_sentence(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "get_worker", lambda: SimpleNamespace(address="tcp://a:2", plugins={}))

    assert cluster._run(a_task(given), "model") == "The worker tcp://a:2 did not get the model; its log says why."


class Wide:
    """A pool that could take any number of parts. It counts those that wait."""

    width = 1000

    def __init__(self) -> None:
        self.waiting = self.most = 0

    def submit(self, task: Task) -> "Wide":
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        return self

    def result(self) -> ScoredPart:
        self.waiting -= 1
        return ScoredPart((), b"", Counts())

    def cancel(self) -> None:
        self.waiting -= 1


def test_few_parts_with_rows_of_text_wait_at_once(given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "_WAITING_READ", 3)
    (tmp_path / "b.ndjson").write_text("{}\n")
    most = []

    for place in (given, "b.ndjson"):
        pool = Wide()
        assert len(list(in_order([a_task(place)] * 20, pool))) == 20
        most.append(pool.most)

    assert most == [20, 3]
