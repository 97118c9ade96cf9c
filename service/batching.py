"""Batches concurrent calls, and owns all threads and locks of the service.

A batcher uses leader and followers: a caller that finds no leader becomes the leader. It takes all waiting items,
processes them as one batch, gives each follower its result, and makes the first new caller the next leader. There is no
timer and no background thread; under load the batches grow."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import gevent
from gevent import monkey

from service.errors import Unavailable

Item = TypeVar("Item")
Result = TypeVar("Result")

Process = Callable[[list[Item]], Sequence[Result | Exception]]
Run = Callable[[Callable[[], Any]], Any]
Aside = Run  # runs a job while the event loop goes on, if there is one


class Batcher(Generic[Item, Result]):
    """Groups concurrent calls of `submit` into calls of `process`, one at a time.

    `process` takes a list of items and returns for each a result, or an exception for its caller. If it raises, each
    item is processed alone. `run` executes a batch: directly, or in gevent's thread pool. At most `max_pending` callers
    wait, each for `timeout` seconds at most; `on_queue_depth` is called with their number when it changes."""

    def __init__(
        self,
        process: Process[Item, Result],
        run: Run,
        *,
        max_pending: int,
        timeout: float,
        on_queue_depth: Callable[[int], None] | None = None,
    ) -> None:
        self._process = process
        self._on_queue_depth = on_queue_depth
        self._reported_depth = 0
        self._run = run
        self._max_pending = max_pending
        self._timeout = timeout
        self._lock = threading.Lock()
        self._waiting: deque[_Call[Item, Result]] = deque()
        self._has_leader = False

    def submit(self, item: Item) -> Result:
        """Returns the result for the item, or raises the exception that `process` returned for it. Raises Unavailable
        if too many callers wait, or after the timeout; after a timeout the item may still be processed."""
        call: _Call[Item, Result] = _Call(item)
        with self._lock:
            if len(self._waiting) >= self._max_pending:
                raise Unavailable("Too many requests are waiting; try again shortly.")
            self._waiting.append(call)
            if not self._has_leader:
                self._has_leader = call.leads = True
            else:
                self._report_depth()
        if not call.leads:
            self._follow(call)
        if call.leads:
            self._lead()
        if isinstance(call.outcome, Exception):
            raise call.outcome
        return call.outcome  # type: ignore[return-value]

    def _follow(self, call: "_Call[Item, Result]") -> None:
        """Waits until the call is processed or becomes the leader. A caller that stops waiting removes its item if no
        batch has taken it, and passes the lead on if it has it."""
        woken = False
        try:
            woken = call.wake.wait(self._timeout)
        finally:
            if not woken:
                self._give_up(call)
        if not woken and not call.leads:
            raise Unavailable("The answer took too long; repeat the request with the same id.")

    def _give_up(self, call: "_Call[Item, Result]") -> None:
        with self._lock:
            if call in self._waiting:
                self._waiting.remove(call)
                self._report_depth()
            if call.leads:
                call.leads = False
                self._pass_lead()

    def _lead(self) -> None:
        with self._lock:
            batch, self._waiting = list(self._waiting), deque()
            self._report_depth()
        outcomes: list[Result | Exception] = []
        try:
            self._run(lambda: outcomes.extend(self._outcomes([call.item for call in batch])))
        finally:
            # The followers get their outcomes even if the leader is killed.
            stopped = Unavailable("The worker is stopping; repeat the request with the same id.")
            outcomes.extend([stopped] * (len(batch) - len(outcomes)))
            for call, outcome in zip(batch, outcomes, strict=True):
                call.outcome = outcome
                call.wake.set()
            with self._lock:
                self._pass_lead()

    def _report_depth(self) -> None:
        depth = len(self._waiting)
        if depth != self._reported_depth and self._on_queue_depth is not None:
            self._reported_depth = depth
            self._on_queue_depth(depth)

    def _pass_lead(self) -> None:
        if self._waiting:
            successor = self._waiting[0]
            successor.leads = True
            successor.wake.set()
        else:
            self._has_leader = False

    def _outcomes(self, items: list[Item]) -> Sequence[Result | Exception]:
        try:
            return self._process(items)
        except Exception as error:  # noqa: BLE001 - each caller gets its error
            if len(items) == 1:
                return [error]
            return [outcome for item in items for outcome in self._outcomes([item])]


@dataclass(slots=True, eq=False)
class _Call(Generic[Item, Result]):
    """One waiting caller. `wake` is set when it has its outcome, or becomes the leader."""

    item: Item
    leads: bool = False
    outcome: Result | Exception | None = None
    wake: threading.Event = field(default_factory=threading.Event)


class OneAtATime:
    """Runs jobs one at a time, with `run`. A caller waits `timeout` seconds at most for its turn."""

    def __init__(self, run: Run, timeout: float) -> None:
        self._run = run
        self._timeout = timeout
        self._turn = threading.Lock()

    def __call__(self, job: Callable[[], Any]) -> Any:
        """Returns what the job returns, or raises what it raises. Raises Unavailable if its turn does not come."""
        if not self._turn.acquire(timeout=self._timeout):
            raise Unavailable("The request waited too long for its turn; try again shortly.")
        try:
            outcome = self._run(lambda: _outcome(job))
        finally:
            self._turn.release()
        if not isinstance(outcome, Exception):
            return outcome
        try:
            raise outcome
        finally:
            del outcome  # with its traceback it would keep all that the job used in memory until the next collection


def _outcome(job: Callable[[], Any]) -> Any:
    """What the job returns or raises. gevent's thread pool would print the traceback of an exception."""
    try:
        return job()
    except Exception as error:  # noqa: BLE001 - its caller raises it
        return error


class Budget:
    """An amount that callers share; `free` is what is left. Those that wait for a part get it in their order of
    arrival."""

    def __init__(self, capacity: int, timeout: float) -> None:
        self.capacity = capacity
        self._timeout = timeout
        self.free = capacity
        self._lock = threading.Lock()
        self._waiting: deque[tuple[int, threading.Event]] = deque()

    def take(self, count: int) -> bool:
        """Takes a part at once, before those that wait, and returns whether it was there. A negative one is given
        back."""
        with self._lock:
            if count > max(self.free, 0):
                return False
            self.free -= count
            self._serve_waiting()
        return True

    def wait(self, count: int) -> bool:
        """Waits for a part, at most the timeout, and returns whether the caller has it."""
        granted = threading.Event()
        call = (count, granted)
        with self._lock:
            self._waiting.append(call)
            self._serve_waiting()
        woken = False
        try:
            woken = granted.wait(self._timeout)
        finally:
            if not woken:
                self._give_up(call)
        return woken

    def give(self, count: int) -> None:
        """Gives a part back. A negative one is taken even if it is not there."""
        with self._lock:
            self.free += count
            self._serve_waiting()

    def _give_up(self, call: tuple[int, threading.Event]) -> None:
        with self._lock:
            if call in self._waiting:
                self._waiting.remove(call)
            else:
                self.free += call[0]  # it came too late
            self._serve_waiting()

    def _serve_waiting(self) -> None:
        while self._waiting and self._waiting[0][0] <= self.free:
            count, granted = self._waiting.popleft()
            self.free -= count
            granted.set()


def runner() -> Run:
    """How this process executes batches: in the hub's thread pool if gevent has patched the process, so that the event
    loop goes on; otherwise directly."""
    return run_in_hub_threadpool if monkey.is_module_patched("threading") else run_here


def run_here(job: Callable[[], Any]) -> Any:
    """Runs a job directly."""
    return job()


def run_in_hub_threadpool(job: Callable[[], Any]) -> Any:
    """Runs a job in a native thread of gevent's hub. A greenlet that is killed still waits for the end of the job, so
    that the next leader does not use the database at the same time."""
    pending = gevent.get_hub().threadpool.spawn(job)
    killed: BaseException | None = None
    while not pending.ready():
        try:
            pending.wait()
        except BaseException as error:  # noqa: BLE001 - raised again after the job
            killed = error
    if killed is not None:
        raise killed
    return pending.get()


def run_in_background(job: Callable[[], None]) -> None:
    """Starts a job and returns: in a greenlet if gevent has patched the process, otherwise in a thread."""
    if monkey.is_module_patched("threading"):
        gevent.spawn(job)
    else:
        threading.Thread(target=job, daemon=True).start()


def native_lock() -> Any:
    """A lock between native threads, even if gevent has patched the process: for data that greenlets and the threads of
    the hub's pool share. Do not block or switch greenlets while you hold it."""
    return monkey.get_original("threading", "Lock")()
