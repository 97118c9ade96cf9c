"""Scores the parts of a run on the workers of a Dask cluster."""

import secrets
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from time import monotonic
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
from dask.utils import SerializableLock
from distributed import CancelledError, KilledWorker, get_worker
from distributed.client import ClosedClientError
from distributed.diagnostics.plugin import WorkerPlugin

import service
from serialize.errors import one_line
from serialize.files.place_error import PlaceError
from serialize.training import cluster
from serialize.training.cluster import connected
from service.bulk.runs.job import Job, LoadedWorker, Outcome, Shared, Task, Worker, answers, loaded, outcome
from service.bulk.runs.pools import Pending
from service.bulk.scoring.part_scorer import ScoredPart

_RETRIES = 2
_LOOK_SECONDS = 1  # how often a part that is not scored yet makes the client look whether there are workers
_BROKEN = (OSError, CancelledError, ClosedClientError)  # also CommClosedError and TimeoutError


class Cluster(AbstractContextManager["Cluster"]):
    """Scores parts on all workers of a cluster. Each worker gets the model once and verifies it."""

    def __init__(self, address: str, job: Job) -> None:
        """Raises ClusterError if the cluster cannot be used, and PlaceError if the connection to it breaks off."""
        self._address = address
        self._name = f"model-{secrets.token_hex(8)}"
        with ExitStack() as stack:
            self._client = stack.enter_context(connected(address, installed_versions))
            with _connection(address):
                self._client.register_plugin(ModelPlugin(self._name, job))
            stack.callback(self._remove_plugin)
            self._stack = stack.pop_all()

    @property
    def width(self) -> int:
        """Two parts for each thread of a worker: the next one waits for it. Raises PlaceError."""
        with _connection(self._address):
            threads: dict[str, int] = self._client.nthreads()
        return 2 * max(1, sum(threads.values()))

    def submit(self, task: Task) -> Pending:
        """Lets a worker score a part. If the worker is lost, another one does. Raises PlaceError."""
        with warnings.catch_warnings():  # the rows of text files are sent, so that they outlive a worker
            warnings.filterwarnings("ignore", message="Sending large graph")
            with _connection(self._address):
                future = self._client.submit(
                    _run, task, self._name, key=f"{self._name}-{task.name}", pure=False, retries=_RETRIES
                )
        return _Sent(future, self._client, self._address)

    def _remove_plugin(self) -> None:
        if self._client.status == "running":  # otherwise this would wait for a new connection
            with suppress(*_BROKEN):
                self._client.unregister_worker_plugin(self._name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


@dataclass(frozen=True, slots=True)
class _Sent:
    """A part that the cluster has."""

    future: Any
    client: Any
    address: str

    def result(self) -> ScoredPart:
        try:
            with _connection(self.address):
                return answers(self._outcome())
        except PlaceError:
            raise
        except KilledWorker as error:
            raise PlaceError(
                f"Workers of {self.address} were lost again and again while they scored the same part; look at their "
                "memory."
            ) from error
        except Exception as error:  # such as of a worker that joined later and lacks a library
            raise PlaceError(f"A worker of {self.address} cannot score: {one_line(error)}") from error

    def cancel(self) -> None:
        with suppress(*_BROKEN):
            self.future.cancel()

    def _outcome(self) -> Outcome:
        """The outcome, when it is there. Raises PlaceError if the cluster has no workers for some time."""
        seen = monotonic()  # when there were workers
        while True:
            with suppress(TimeoutError):
                found: Outcome = self.future.result(timeout=_LOOK_SECONDS)
                return found
            if self.client.nthreads():
                seen = monotonic()
            elif monotonic() - seen > cluster.PATIENCE_SECONDS:
                raise PlaceError(f"The cluster of {self.address} has no workers any more; start some.")


@contextmanager
def _connection(address: str) -> Iterator[None]:
    """Turns the errors of a connection that breaks off into one sentence."""
    try:
        yield
    except _BROKEN as error:
        raise PlaceError(f"The connection to the scheduler {address} broke off.") from error


class ModelPlugin(WorkerPlugin):
    """The model on a worker of the cluster, also on one that joins later. `worker` is a sentence if it has none."""

    def __init__(self, name: str, job: Job) -> None:
        self.name = name
        self.worker: LoadedWorker = "The worker has no model."
        self._job = job
        self._versions = installed_versions()

    def setup(self, worker: Any) -> None:
        """Compares the versions and the log, and loads and verifies the model."""
        difference = cluster.difference(worker.address, installed_versions(), self._versions)
        if difference is None and self._job.same_log is not None:
            difference = self._job.same_log.difference(worker.address)
        self.worker = difference or loaded(self._job, Shared(turn=SerializableLock()))  # it may have several threads

    def teardown(self, worker: Any) -> None:
        """Closes the connection to the log, if there is one."""
        if isinstance(self.worker, Worker):
            self.worker.close()


def installed_versions() -> dict[str, str]:
    """The versions of Python, of this package and of the libraries that may change an answer or a file."""
    return {
        **cluster.installed_versions(),
        "prediction-service": service.__version__,
        "pyarrow": pa.__version__,
    }


def _run(task: Task, name: str) -> Outcome:
    worker = get_worker()
    plugin = worker.plugins.get(name)
    if not isinstance(plugin, ModelPlugin):
        return f"The worker {worker.address} did not get the model; its log says why."
    found = outcome(plugin.worker, task)
    if isinstance(plugin.worker, Worker) and plugin.worker.is_closed:
        raise RuntimeError("the worker ends")  # Dask lets another one score the part
    return found
