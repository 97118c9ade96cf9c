"""The challenger in the database: a model that the gate judged and that never was the champion."""

from datetime import datetime

from peewee import Database

from service.storage.models.store import REGISTERED
from service.storage.models.tables import Promotion, RegisteredModel


def newest_challenger(database: Database) -> tuple[str, datetime] | None:
    """The version of the newest registered model that has a verdict and was never promoted, and when it was registered;
    None if there is none. Through an open connection."""
    promoted = Promotion.select(Promotion.to_version)
    query = (
        RegisteredModel.select(RegisteredModel.version, RegisteredModel.registered_at)
        .where(
            RegisteredModel.state == REGISTERED,
            RegisteredModel.verdict.is_null(False),
            RegisteredModel.version.not_in(promoted),
        )
        .order_by(RegisteredModel.registered_at.desc(), RegisteredModel.version)
        .limit(1)
    )
    return next(iter(query.tuples().execute(database)), None)
