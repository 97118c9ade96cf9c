"""`python -m service export --to URL --since-last`: the feeds, for a scheduler."""

from datetime import datetime

from service.cli.bulk_options import require_pyarrow, rows_progress
from service.settings import Settings
from service.storage.connection import database_of
from service.storage.deletion import Erasure
from service.storage.feeds.tables import FEEDS
from service.storage.migrate import require_log
from service.storage.reading.log_reader import log_reader
from service.storage.session import Session


def export_feeds(place: str, delete_before: datetime | None) -> str:
    """Exports what is new to a place, then deletes the predictions that were made before a moment and are exported with
    their labels. Returns a summary in one line. Raises PlaceError, FeedError, and the errors of the settings and of the
    database."""
    require_pyarrow()
    from service.bulk.feeds.destination import Destination  # noqa: PLC0415
    from service.bulk.feeds.export import FeedExport  # noqa: PLC0415 - it needs pyarrow

    destination = Destination.of(place)
    session = Session(require_log(database_of(Settings.from_env()), "label_event", "feed_range"))
    try:
        export = FeedExport(session, destination)
        with rows_progress() as advance:
            done = export.run(advance)
        told = [f"{feed} {_number(done.rows[feed], 'row')} in {_number(done.files[feed], 'file')}" for feed in FEEDS]
        summary = f"{', '.join(told)}, to {destination.url}"
        if delete_before is None:
            return summary
        erasure = Erasure(session, log_reader(session.database))
        deleted = sum(erasure.erase_before(delete_before, export.ranges.written()))
        return f"{summary}; {_number(deleted, 'exported prediction')} were deleted, and their ids are free again"
    finally:
        session.close()


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
