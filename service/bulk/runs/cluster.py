"""Scores the parts of a run on the workers of a Dask cluster."""

import secrets
import warnings
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
from distributed import CancelledError, KilledWorker, get_worker
from distributed.comm.core import CommClosedError
from distributed.diagnostics.plugin import WorkerPlugin

import service
from serialize.training import cluster
from serialize.training.cluster import connected
from service.bulk.files.place_error import PlaceError
from service.bulk.runs.job import Job, Task, Worker
from service.bulk.runs.pools import Pending
from service.bulk.scoring.part_scorer import ScoredPart

_RETRIES = 2


class Cluster(AbstractContextManager["Cluster"]):
    """Scores parts on all workers of a cluster. Each worker gets the model once and verifies it."""

    def __init__(self, address: str, job: Job) -> None:
        """Raises ClusterError if the cluster cannot be used, and what a worker raises that cannot load the model."""
        self._address = address
        self._name = f"model-{secrets.token_hex(8)}"
        with ExitStack() as stack:
            self._client = stack.enter_context(connected(address, installed_versions))
            self._client.register_plugin(ModelPlugin(self._name, job))
            stack.callback(self._client.unregister_worker_plugin, self._name)
            self._stack = stack.pop_all()

    @property
    def width(self) -> int:
        """Two parts for each thread of a worker: the next one waits for it."""
        threads: dict[str, int] = self._client.nthreads()
        return 2 * max(1, sum(threads.values()))

    def submit(self, task: Task) -> Pending:
        """Lets a worker score a part. If the worker is lost, another one does."""
        with warnings.catch_warnings():  # the rows of text files are sent, so that they outlive a worker
            warnings.filterwarnings("ignore", message="Sending large graph")
            future = self._client.submit(
                _run, task, self._name, key=f"{self._name}-{task.name}", pure=False, retries=_RETRIES
            )
        return _Sent(future, self._address)

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
    address: str

    def result(self) -> ScoredPart:
        try:
            scored: ScoredPart = self.future.result()
        except KilledWorker as error:
            raise PlaceError(
                f"Workers of {self.address} were lost again and again while they scored the same part; look at their "
                "memory."
            ) from error
        except (CommClosedError, CancelledError) as error:
            raise PlaceError(f"The connection to the scheduler {self.address} broke off.") from error
        return scored

    def cancel(self) -> object:
        return self.future.cancel()


class ModelPlugin(WorkerPlugin):
    """The model on a worker of the cluster, also on one that joins later."""

    def __init__(self, name: str, job: Job) -> None:
        self.name = name
        self._job = job
        self.worker: Worker | None = None

    def setup(self, worker: Any) -> None:
        """Loads and verifies the model."""
        self.worker = Worker(self._job)


def installed_versions() -> dict[str, str]:
    """The versions of Python, of this package and of the libraries that may change an answer or a file."""
    return {
        **cluster.installed_versions(),
        "prediction-service": service.__version__,
        "pyarrow": pa.__version__,
    }


def _run(task: Task, name: str) -> ScoredPart:
    plugin = get_worker().plugins[name]
    if not isinstance(plugin, ModelPlugin) or plugin.worker is None:
        raise RuntimeError("the worker has no model")
    return plugin.worker.run(task)
