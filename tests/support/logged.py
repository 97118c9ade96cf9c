"""Writes rows to the log without the service."""

from datetime import UTC, datetime, timedelta
from typing import Any

from peewee import Database, ModelDelete

from service.storage.tables import Prediction

START = datetime(2026, 1, 1, tzinfo=UTC)


def logged(number: int, **changes: Any) -> dict[str, Any]:
    """An unlabelled row of the log: false with 0.25, `number` seconds after the start of 2026."""
    row = {
        "observation_id": str(number),
        "observation": '{"Sex":"male"}',
        "proba": 0.25,
        "probas": None,
        "predicted_class": "false",
        "predicted_value": None,
        "threshold": 0.5,
        "true_class": None,
        "true_value": None,
        "model_version": "a" * 12,
        "created_at": START + timedelta(seconds=number),
        "labelled_at": None,
    }
    return {**row, **changes}


def labelled(number: int, truth: str = "true", **changes: Any) -> dict[str, Any]:
    """The same row with a true class from an hour later."""
    return logged(number, true_class=truth, labelled_at=START + timedelta(seconds=number + 3600), **changes)


def write(database: Database, *rows: dict[str, Any]) -> None:
    """Inserts rows in one transaction."""
    with database.atomic():
        Prediction.insert_many(rows).execute(database)


def relabel(database: Database, number: int, truth: str, at: datetime = START) -> None:
    """Sets a true class with its time."""
    chosen = Prediction.observation_id == str(number)
    Prediction.update(true_class=truth, labelled_at=at).where(chosen).execute(database)


def erase(database: Database, number: int) -> None:
    """Deletes a row."""
    ModelDelete(Prediction).where(Prediction.observation_id == str(number)).execute(database)
