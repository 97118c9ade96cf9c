"""What a kind of work gets from the job that runs it: a place to report progress, and the check before each write."""

from collections.abc import Callable
from dataclasses import dataclass

from service.storage.session import Session


class Cancelled(Exception):
    """The job is no longer this process's to do: it was cancelled, or another worker took it. Let it pass."""


@dataclass(frozen=True, slots=True)
class Reporter:
    """`progress(share, sentence)` stores how much is done, from 0 to 1, and what happens now. Call it between
    transactions. It raises Cancelled if the job was cancelled or taken.

    `require()` raises Cancelled unless the job is still this process's to do. Call it in each transaction that writes,
    and run these transactions on `session`: on PostgreSQL it locks the row of the job until they end, so no write
    follows a cancellation.

    `job` is the id of the job, None without one."""

    progress: Callable[[float, str], None]
    require: Callable[[], None]
    session: Session
    job: int | None = None
