"""The jobs in the database, and the workers that run them. At most one job of a kind is queued or running. Every time
is the database's, so that the clocks of machines may differ."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from peewee import IntegrityError, ModelDelete, SqliteDatabase, fn

from service.errors import JobConflict, UnknownJob
from service.storage.learning.clock import clock_of, moment_of
from service.storage.learning.tables import Job, WorkerSeen
from service.storage.session import Session

QUEUED, RUNNING, SUCCEEDED, FAILED, CANCELLED = "queued", "running", "succeeded", "failed", "cancelled"
STATES = (QUEUED, RUNNING, SUCCEEDED, FAILED, CANCELLED)
LOST_SECONDS = 60
MOST_ATTEMPTS = 2

_FORGOTTEN_SECONDS = 24 * 60 * 60  # a worker that was not seen for so long
_LOST_AGAIN = f"The job was begun {MOST_ATTEMPTS} times and ended each time without a result, so it is not tried again."
_TIMES = ("heartbeat", "created_at", "started_at", "finished_at")


class JobGone(Exception):
    """The job does not run any more, or runs in a newer attempt."""


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A row of the table `job`. `arguments` and `result` are parsed."""

    id: int
    kind: str
    arguments: Mapping[str, Any]
    state: str
    progress: float
    message: str
    attempt: int
    worker: str | None
    heartbeat: datetime | None
    created_at: datetime
    created_by: str
    started_at: datetime | None
    finished_at: datetime | None
    result: Mapping[str, Any] | None
    error: str | None

    def to_json(self) -> dict[str, Any]:
        """The job as GET /admin/jobs/ID answers it."""
        row = {name: getattr(self, name) for name in self.__slots__}
        times = {name: row[name] and row[name].isoformat(timespec="microseconds") for name in _TIMES}
        return {**row, **times}


class JobStore:
    """Reads and changes jobs through its own session. For one caller at a time. Every method raises Unavailable if the
    database cannot be used now."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._database = session.database
        self._ago = clock_of(session.database)

    def add(self, kind: str, arguments: Mapping[str, Any], by: str) -> int:
        """Queues a job and returns its id. Raises JobConflict if one of its kind is queued or running."""
        row = {
            "kind": kind,
            "arguments": json.dumps(arguments, allow_nan=False),
            "state": QUEUED,
            "progress": 0.0,
            "message": "It waits for a worker.",
            "attempt": 0,
            "created_at": self._ago(0),
            "created_by": by,
        }
        insert = Job.insert(row).returning(Job.id)
        try:
            ((added,),) = self._session.run(lambda: list(insert.tuples().execute(self._database)))
        except IntegrityError as error:
            raise JobConflict(
                f"A job of the kind {kind} is queued or running; wait for it, or cancel it with DELETE /admin/jobs/ID."
            ) from error
        return int(added)

    def claim(self, worker: str) -> StoredJob | None:
        """Gives the oldest job that waits, or whose worker was lost, to a worker: its state is then running, and its
        attempt one higher. Returns None if there is none. A job that was lost in its last attempt becomes failed.

        Two workers never get one job: PostgreSQL skips the rows that another one has locked, and SQLite has one writer
        at a time."""
        return self._session.run(lambda: self._claim(worker)) if self._is_work_there() else None

    def is_held(self, id_: int, attempt: int) -> bool:
        """Whether a job runs in this attempt. The connection stays open, for a caller that asks again and again."""
        query = Job.select(Job.id).where(self._held(id_, attempt))
        return bool(self._session.watch(lambda: list(query.tuples().execute(self._database))))

    def beat(self, id_: int, attempt: int, progress: float | None = None, message: str | None = None) -> bool:
        """Notes that a job is worked on, and how far it is. Returns False if it does not run in this attempt any
        more: it was cancelled, or another worker took it."""
        changed: dict[str, Any] = {"heartbeat": self._ago(0)}
        if progress is not None:
            changed["progress"] = min(max(progress, 0.0), 1.0)
        if message is not None:
            changed["message"] = message
        return self._change(id_, attempt, changed)

    def finish(
        self, id_: int, attempt: int, state: str, result: Mapping[str, Any] | None = None, error: str | None = None
    ) -> bool:
        """Ends a job in a state, with its result or its error. Returns False, and changes nothing, if it does not run
        in this attempt any more."""
        changed = {
            "state": state,
            "finished_at": self._ago(0),
            "result": None if result is None else json.dumps(result, allow_nan=False),
            "error": error,
            **({"progress": 1.0} if state == SUCCEEDED else {}),
        }
        return self._change(id_, attempt, changed)

    def give_back(self, id_: int, attempt: int, *, counts: bool) -> bool:
        """Queues a running job again. Unless the attempt `counts`, it is as if the job had not been taken. Call it only
        when nothing works on it any more."""
        changed = {
            "state": QUEUED,
            "attempt": attempt if counts else attempt - 1,
            "worker": None,
            "heartbeat": None,
            "started_at": None,
            "progress": 0.0,
            "message": "Its process was stopped. It waits for a worker.",
        }
        return self._change(id_, attempt, changed)

    def cancel(self, id_: int) -> StoredJob:
        """Cancels a job that is queued or running; its process ends within seconds and can write nothing meanwhile.
        Raises UnknownJob, and JobConflict if it has ended."""
        open_ = (Job.id == id_) & Job.state.in_((QUEUED, RUNNING))
        update = Job.update(state=CANCELLED, finished_at=self._ago(0)).where(open_)
        done = _fits(id_) and self._session.run(lambda: update.execute(self._database))
        found = self.job(id_)
        if not done:
            raise JobConflict(f"Job {id_} has ended already; it is {found.state}.")
        return found

    def job(self, id_: int) -> StoredJob:
        """A job. Raises UnknownJob."""
        query = Job.select().where(Job.id == id_)
        found = (
            self._session.read(lambda: [_stored(row) for row in query.execute(self._database)]) if _fits(id_) else []
        )
        if not found:
            raise UnknownJob(f"There is no job {id_}; GET /admin/jobs lists them.")
        return found[0]

    def newest(self, limit: int) -> list[StoredJob]:
        """The newest jobs, the newest first."""
        query = Job.select().order_by(Job.id.desc()).limit(limit)
        return self._session.read(lambda: [_stored(row) for row in query.execute(self._database)])

    def figures(self) -> dict[str, Any]:
        """In one look: the number of jobs by state (`states`), the state of the newest job of each kind (`newest`), and
        how many seconds ago a worker was seen (`worker_seen`)."""
        return self._session.read(self._figures)

    def saw_worker(self, name: str) -> None:
        """Notes that a worker lives, and forgets those that were not seen for a day."""
        now = self._ago(0)
        seen = WorkerSeen.insert(name=name, seen_at=now).on_conflict(
            conflict_target=[WorkerSeen.name], update={WorkerSeen.seen_at: now}
        )
        old = ModelDelete(WorkerSeen).where(WorkerSeen.seen_at < self._ago(_FORGOTTEN_SECONDS))

        def write() -> None:
            seen.execute(self._database)
            old.execute(self._database)

        self._session.run(write)

    def forget_worker(self, name: str) -> None:
        """Notes that a worker has ended."""
        delete = ModelDelete(WorkerSeen).where(WorkerSeen.name == name)
        self._session.run(lambda: delete.execute(self._database))

    def worker_seen(self) -> float | None:
        """How many seconds ago a worker was last seen, or None if there is none."""
        return self._session.read(self._worker_seen)

    def require(self, id_: int, attempt: int) -> None:
        """Raises JobGone unless the job runs in this attempt. In a transaction of this store's session it stays so
        until the end: PostgreSQL locks the row, and SQLite has one writer at a time."""
        query = Job.select(Job.id).where(self._held(id_, attempt))
        if not isinstance(self._database, SqliteDatabase):
            query = query.for_update()
        if not list(query.tuples().execute(self._database)):
            raise JobGone(f"Job {id_} does not run in attempt {attempt} any more.")

    def _figures(self) -> dict[str, Any]:
        numbers = Job.select(Job.state, fn.COUNT(Job.id)).group_by(Job.state)
        counted = dict(numbers.tuples().execute(self._database))
        last = Job.select(fn.MAX(Job.id)).group_by(Job.kind)
        newest = Job.select(Job.kind, Job.state).where(Job.id.in_(last)).order_by(Job.kind)
        return {
            "states": {state: counted.get(state, 0) for state in STATES},
            "newest": dict(newest.tuples().execute(self._database)),
            "worker_seen": self._worker_seen(),
        }

    def _worker_seen(self) -> float | None:
        query = WorkerSeen.select(fn.MAX(WorkerSeen.seen_at), self._ago(0))
        ((seen, now),) = list(query.tuples().execute(self._database))
        return None if seen is None else max(0.0, (moment_of(now) - moment_of(seen)) / timedelta(seconds=1))

    def _held(self, id_: int, attempt: int) -> Any:
        return (Job.id == id_) & (Job.attempt == attempt) & (Job.state == RUNNING)

    def _change(self, id_: int, attempt: int, changed: Mapping[str, Any]) -> bool:
        update = Job.update({getattr(Job, name): value for name, value in changed.items()})
        update = update.where(self._held(id_, attempt))
        return bool(self._session.run(lambda: update.execute(self._database)))

    def _can_be_taken(self) -> Any:
        lost = (Job.state == RUNNING) & (Job.heartbeat < self._ago(LOST_SECONDS))
        return (Job.state == QUEUED) | lost

    def _is_work_there(self) -> bool:
        """Whether to ask for a transaction that writes; without one, a worker that waits disturbs nobody."""
        query = Job.select(Job.id).where(self._can_be_taken()).limit(1)
        return bool(self._session.watch(lambda: list(query.tuples().execute(self._database))))

    def _claim(self, worker: str) -> StoredJob | None:
        query = Job.select().where(self._can_be_taken()).order_by(Job.id)
        if not isinstance(self._database, SqliteDatabase):
            query = query.for_update(skip_locked=True)
        for found in query.execute(self._database):
            if found.attempt >= MOST_ATTEMPTS:
                ended = Job.update(state=FAILED, finished_at=self._ago(0), error=_LOST_AGAIN)
                ended.where(Job.id == found.id).execute(self._database)
                continue
            now = self._ago(0)
            taken = Job.update(
                state=RUNNING,
                attempt=Job.attempt + 1,
                worker=worker,
                heartbeat=now,
                started_at=now,
                progress=0.0,
                message="A worker took it.",
            )
            taken.where(Job.id == found.id).execute(self._database)
            return next(_stored(row) for row in Job.select().where(Job.id == found.id).execute(self._database))
        return None


def _fits(id_: int) -> bool:
    return id_ < 2**63


def _stored(row: Job) -> StoredJob:
    values = {name: getattr(row, name) for name in StoredJob.__slots__}
    result = None if row.result is None else json.loads(row.result)
    return StoredJob(**{**values, "arguments": json.loads(row.arguments), "result": result})
