"""The models in the database that the gate judged, and the challenger: the newest one that never was the champion."""

import json
from datetime import datetime

from peewee import Database

from service.storage.models.store import INCOMING, REGISTERED
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


def newest_verdict(database: Database) -> tuple[str, str] | None:
    """The version of the newest model that has a verdict and is stored whole, and its outcome; None if there is none.
    Through an open connection."""
    query = (
        RegisteredModel.select(RegisteredModel.version, RegisteredModel.verdict)
        .where(RegisteredModel.state != INCOMING, RegisteredModel.verdict.is_null(False))
        .order_by(RegisteredModel.registered_at.desc(), RegisteredModel.version)
        .limit(1)
    )
    found = next(iter(query.tuples().execute(database)), None)
    return None if found is None else (found[0], str(json.loads(found[1])["outcome"]))
