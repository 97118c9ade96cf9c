"""Scores the parts of a run on the workers of a Dask cluster."""

import platform
import secrets
import warnings
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.metadata import version
from types import TracebackType
from typing import Any, Self

from distributed import CancelledError, Client, KilledWorker, get_worker
from distributed.comm.core import CommClosedError
from distributed.diagnostics.plugin import WorkerPlugin

import service
from service.bulk.files.place_error import PlaceError
from service.bulk.runs.job import Job, Task, Worker
from service.bulk.runs.pools import Pending
from service.bulk.scoring.part_scorer import ScoredPart

_LIBRARIES = ("numpy", "pandas", "scikit-learn", "onnxruntime", "pyarrow")
_PATIENCE_SECONDS = 30
_RETRIES = 2


class Cluster(AbstractContextManager["Cluster"]):
    """Scores parts on all workers of a cluster. Each worker gets the model once and verifies it."""

    def __init__(self, address: str, job: Job) -> None:
        """Raises PlaceError if the cluster cannot be used."""
        self._address = address
        self._name = f"model-{secrets.token_hex(8)}"
        try:
            self._client = Client(address, timeout=_PATIENCE_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            raise PlaceError(f"The scheduler {address} cannot be reached; is it running?") from error
        try:
            self._prepare(job)
        except BaseException:
            self._client.close()
            raise

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

    def _prepare(self, job: Job) -> None:
        try:
            self._client.wait_for_workers(1, timeout=_PATIENCE_SECONDS)
        except TimeoutError as error:
            raise PlaceError(f"The scheduler {self._address} has no workers; start some.") from error
        here = installed_versions()
        try:
            found: dict[str, dict[str, str]] = self._client.run(installed_versions)
        except Exception as error:  # of what a worker cannot import, only the text arrives
            raise PlaceError(
                f"A worker of {self._address} cannot load prediction-service ({error}); install it there, with the "
                "extra dask."
            ) from error
        for worker, versions in sorted(found.items()):
            for name, there in versions.items():
                if there != here[name]:
                    raise PlaceError(
                        f"The worker {worker} has {name} {there}, and this machine has {here[name]}; install the same."
                    )
        self._client.register_plugin(ModelPlugin(self._name, job))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._client.unregister_worker_plugin(self._name)
        finally:
            self._client.close()


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
    """The versions of Python, of this package and of the libraries that may change an answer."""
    libraries = {name: version(name) for name in _LIBRARIES}
    return {"Python": platform.python_version(), "prediction-service": service.__version__, **libraries}


def _run(task: Task, name: str) -> ScoredPart:
    plugin = get_worker().plugins[name]
    if not isinstance(plugin, ModelPlugin) or plugin.worker is None:
        raise RuntimeError("the worker has no model")
    return plugin.worker.run(task)
