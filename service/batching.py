"""The one place with threads and locks: callers that wait together are served together.

Leader and followers: the first caller to find no leader takes everything that is waiting, has it processed in one
go, hands each follower its own result, and passes the lead to the first of those who came meanwhile. There is
nothing to start or stop, no timer and no window; under load the batches grow by themselves."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import gevent
from gevent import monkey

from service.errors import Unavailable

Item = TypeVar("Item")
Result = TypeVar("Result")

Process = Callable[[list[Item]], Sequence[Result | Exception]]
Run = Callable[[Callable[[], Any]], Any]


class Batcher(Generic[Item, Result]):
    """Serves concurrent callers of `submit` by few calls of `process`, never two at once.

    `process` takes a list of items and gives for each its result, or the exception that its caller shall get; where it
    raises, each item is processed alone. `run` carries out a batch: a plain call, or one in gevent's thread pool. At
    most `max_pending` callers wait, each for at most `timeout` seconds; `on_queue_depth` is told how many they are."""

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
        self._last_told = 0
        self._run = run
        self._max_pending = max_pending
        self._timeout = timeout
        self._lock = threading.Lock()
        self._waiting: deque[_Call[Item, Result]] = deque()
        self._is_led = False

    def submit(self, item: Item) -> Result:
        """The result for the item. Raises what `process` gave for it, and Unavailable when too many wait already or
        this caller has waited too long; in the latter case the item may yet be processed."""
        call: _Call[Item, Result] = _Call(item)
        with self._lock:
            if len(self._waiting) >= self._max_pending:
                raise Unavailable("Too many requests are waiting; try again shortly.")
            self._waiting.append(call)
            if not self._is_led:
                self._is_led = call.leads = True
            else:
                self._tell()
        if not call.leads:
            self._follow(call)
        if call.leads:
            self._lead()
        return call.result()

    def _follow(self, call: "_Call[Item, Result]") -> None:
        """Waits until the call is processed or leads. A caller that gives up takes its item back where it still can,
        and never takes the lead with it."""
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
                self._tell()
            if call.leads:
                call.leads = False
                self._pass_lead()

    def _lead(self) -> None:
        with self._lock:
            batch, self._waiting = list(self._waiting), deque()
            self._tell()
        outcomes: list[Result | Exception] = []
        try:
            self._run(lambda: outcomes.extend(self._outcomes([call.item for call in batch])))
        finally:
            # A leader that is killed meanwhile still hands over what the batch came to.
            outcomes.extend([_interrupted()] * (len(batch) - len(outcomes)))
            for call, outcome in zip(batch, outcomes, strict=True):
                call.finish(outcome)
            with self._lock:
                self._pass_lead()

    def _tell(self) -> None:
        waiting = len(self._waiting)
        if waiting != self._last_told and self._on_queue_depth is not None:
            self._last_told = waiting
            self._on_queue_depth(waiting)

    def _pass_lead(self) -> None:
        if self._waiting:
            heir = self._waiting[0]
            heir.leads = True
            heir.wake.set()
        else:
            self._is_led = False

    def _outcomes(self, items: list[Item]) -> Sequence[Result | Exception]:
        try:
            return self._process(items)
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to the callers
            if len(items) == 1:
                return [error]
            return [outcome for item in items for outcome in self._outcomes([item])]


class _Call(Generic[Item, Result]):
    """One waiting caller: woken when its outcome is there, or when it is to lead."""

    __slots__ = ("item", "leads", "outcome", "wake")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.leads = False
        self.outcome: Result | Exception | None = None
        self.wake = threading.Event()

    def finish(self, outcome: Result | Exception) -> None:
        self.outcome = outcome
        self.wake.set()

    def result(self) -> Result:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome  # type: ignore[return-value]


def runner() -> Run:
    """How batches are carried out in this process: in the hub's thread pool where gevent has patched it, so that the
    loop goes on reading requests meanwhile; else by a plain call."""
    return run_in_hub_threadpool if monkey.is_module_patched("threading") else run_inline


def run_inline(job: Callable[[], Any]) -> Any:
    """Carries out a job in the calling thread."""
    return job()


def run_in_hub_threadpool(job: Callable[[], Any]) -> Any:
    """Carries out a job in a native thread of gevent's hub. A greenlet that is killed meanwhile still waits for the
    job to end: the next leader must not find the database in use."""
    pending = gevent.get_hub().threadpool.spawn(job)
    killed: BaseException | None = None
    while not pending.ready():
        try:
            pending.wait()
        except BaseException as error:  # noqa: BLE001 - raised again as soon as the job has ended
            killed = error
    if killed is not None:
        raise killed
    return pending.get()


def run_in_background(job: Callable[[], None]) -> None:
    """Carries out a job when the caller has gone on: in a greenlet where gevent has patched this process, else in a
    thread."""
    if monkey.is_module_patched("threading"):
        gevent.spawn(job)
    else:
        threading.Thread(target=job, daemon=True).start()


def native_lock() -> Any:
    """A lock between the threads of the system, whatever gevent has patched: for what greenlets and the threads of the
    hub's pool both do. Nothing may be waited for while it is held."""
    return monkey.get_original("threading", "Lock")()


def _interrupted() -> Unavailable:
    return Unavailable("The worker is stopping; repeat the request with the same id.")
