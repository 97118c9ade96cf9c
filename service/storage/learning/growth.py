"""How far the log has grown."""

from peewee import Database, fn

from service.storage.tables import Prediction


def newest_row(database: Database) -> int:
    """The greatest id of the log, 0 if it is empty. Reads through an open connection."""
    return int(Prediction.select(fn.COALESCE(fn.MAX(Prediction.id), 0)).scalar(database))
