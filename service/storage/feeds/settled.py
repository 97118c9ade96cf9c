"""Up to which id each feed is settled: no row with such an id can appear any more.

SQLite has one writer at a time, so the newest id settles all before it. PostgreSQL commits in any order. There a writer
holds a lock on the table `prediction` from before it takes an id until its end, as labels do too, because a trigger on
that table writes their events. So the ids up to the newest one are settled when all transactions have ended that hold
this lock after it was read. CREATE INDEX CONCURRENTLY waits in the same way. No writer waits for this."""

import time
from typing import NamedTuple

from peewee import Database, SqliteDatabase

from service.storage.feeds.error import FeedError
from service.storage.session import Session

_PATIENCE_SECONDS = 60.0
_POLL_SECONDS = 0.01
_NEWEST = "SELECT coalesce((SELECT max(id) FROM prediction), 0), coalesce((SELECT max(id) FROM label_event), 0)"
_WRITERS = (
    "SELECT virtualtransaction FROM pg_locks WHERE locktype = 'relation' AND relation = 'prediction'::regclass "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "AND mode = 'RowExclusiveLock' AND granted"
)


class Settled(NamedTuple):
    """The greatest settled id of each feed, 0 for an empty one."""

    predictions: int
    labels: int


def settled(session: Session, patience: float = _PATIENCE_SECONDS) -> Settled:
    """The greatest ids of the present log, after the transactions that were writing to it have ended. Raises FeedError
    if one of them is still open after `patience` seconds, and Unavailable."""
    return session.watch(lambda: _settled(session.database, patience))


def _settled(database: Database, patience: float) -> Settled:
    newest = Settled(*database.execute_sql(_NEWEST).fetchone())
    if isinstance(database, SqliteDatabase):
        return newest
    deadline = time.monotonic() + patience
    waiting_for = _writers(database)
    while waiting_for:
        if time.monotonic() > deadline:
            raise FeedError(
                f"A transaction has been writing to the log for more than {patience:.0f} s, so it is not known which "
                "ids are settled; repeat the export when the transaction has ended."
            )
        time.sleep(_POLL_SECONDS)
        waiting_for &= _writers(database)
    return newest


def _writers(database: Database) -> set[str]:
    return {transaction for (transaction,) in database.execute_sql(_WRITERS).fetchall()}
