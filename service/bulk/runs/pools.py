"""Where the parts of a run are scored: in this process, or in several on this machine."""

import os
import signal
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from multiprocessing import get_context
from types import TracebackType
from typing import Protocol, Self

from serialize.files.place_error import PlaceError
from serialize.writing.parent import end_with
from service.bulk.files.typed_reader import Units
from service.bulk.runs.job import Job, LoadedWorker, Outcome, Shared, Task, Worker, answers, loaded, outcome
from service.bulk.scoring.part_scorer import ScoredPart
from service.storage.bulk.run_ids import RunIds

_ATTEMPTS = 3
_WAITING_READ = 64  # parts whose rows were read here: 2 GB


class Pending(Protocol):
    """A part that is being scored."""

    def result(self) -> ScoredPart:
        """The answers, when they are there. Raises PlaceError, LayoutError and ArtifactError."""

    def cancel(self) -> object:
        """The answers are not wanted any more."""


class Pool(Protocol):
    """Scores parts. `width` is how many should be given to it at once."""

    @property
    def width(self) -> int: ...

    def submit(self, task: Task) -> Pending: ...


def in_order(tasks: Iterable[Task], pool: Pool) -> Iterator[tuple[Task, ScoredPart]]:
    """The answers to parts in their order; not more than the width of the pool wait at once, and of parts that were
    read here not more than 64. Raises PlaceError, LayoutError and ArtifactError."""
    waiting: deque[tuple[Task, Pending]] = deque()
    try:
        for task in tasks:
            waiting.append((task, pool.submit(task)))
            is_read = not isinstance(task.part.content, Units)
            if len(waiting) >= (min(pool.width, _WAITING_READ) if is_read else pool.width):
                first, pending = waiting.popleft()
                yield first, pending.result()
        while waiting:
            first, pending = waiting.popleft()
            yield first, pending.result()
    finally:
        for _, pending in waiting:
            pending.cancel()


class ThisProcess:
    """Scores parts at once, with the worker of this process."""

    width = 1

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def submit(self, task: Task) -> Pending:
        """Scores a part."""
        done: Future[ScoredPart] = Future()
        done.set_result(self._worker.run(task))
        return done


class Processes(AbstractContextManager["Processes"]):
    """Scores parts in several new processes. A part whose process was killed is scored again by another one."""

    def __init__(self, job: Job, count: int) -> None:
        self._job, self._count = job, count
        self._executor = self._new()

    @property
    def width(self) -> int:
        """Two parts for each process: the next one waits for it."""
        return 2 * self._count

    def submit(self, task: Task) -> Pending:
        """Lets a process score a part."""
        return _Attempts(self, task)

    def start(self, task: Task) -> "Future[Outcome]":
        """Lets a process score a part once."""
        with _sigint_blocked():  # this may start a process
            try:
                return self._executor.submit(_run, task)
            except BrokenProcessPool:
                self._executor.shutdown(wait=True)
                self._executor = self._new()
                return self._executor.submit(_run, task)

    def _new(self) -> ProcessPoolExecutor:
        context = get_context("spawn")  # obstore and native libraries must not be forked
        run_ids = RunIds(context)  # a new one: a process may have been killed while it had the lock
        executor = ProcessPoolExecutor(self._count, context, _start, (self._job, run_ids, os.getpid()))
        with _sigint_blocked():
            for _ in range(self._count):  # each starts a process, which loads the model meanwhile
                executor.submit(_ready)
        return executor

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._executor.shutdown(wait=True, cancel_futures=True)


class _Attempts:
    """A part that is scored again if its process is killed."""

    def __init__(self, pool: Processes, task: Task) -> None:
        self._pool, self._task = pool, task
        self._future = pool.start(task)

    def result(self) -> ScoredPart:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return answers(self._future.result())
            except BrokenProcessPool:
                if attempt < _ATTEMPTS:
                    self._future = self._pool.start(self._task)
        raise PlaceError(
            f"Processes were killed again and again while they scored {self._task.part.file.name}; look at the memory, "
            "or give fewer --workers."
        )

    def cancel(self) -> object:
        return self._future.cancel()


@contextmanager
def _sigint_blocked() -> Iterator[None]:
    """Holds Ctrl-C back until the end of the block. A process that starts in it never gets any: the first process
    decides."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_worker: LoadedWorker = "The process has no model."


def _start(job: Job, run_ids: RunIds, parent: int) -> None:
    """Loads the model in a new process."""
    global _worker  # noqa: PLW0603 - an executor gives its processes no other place
    end_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # should a library unblock it
    _worker = loaded(job, Shared(run_ids=run_ids))


def _ready() -> None:
    """Nothing, in a new process."""


def _run(task: Task) -> Outcome:
    return outcome(_worker, task)
