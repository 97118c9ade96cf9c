"""A small world with a model for it: the truth follows x, or -x after a flip, with some noise; and its log."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from peewee import Database
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from serialize import dump
from serialize.artifact import Artifact
from service.registry.registry import Registry
from service.storage.models.tables import RegisteredModel
from service.storage.tables import Prediction

COLUMNS = ["x", "other", "group"]
TRAINED_ROWS = 400
SINCE = timedelta(days=30)
_EVERY = timedelta(minutes=5)
_DELAY = timedelta(minutes=1)


Array = np.ndarray[Any, np.dtype[Any]]


def world(rows: int, seed: int, *, is_flipped: bool = False) -> tuple[Array, Array]:
    """Rows of shape (rows, 3) with the COLUMNS, and their truth, true with a probability that depends on x."""
    random = np.random.RandomState(seed)
    X = np.column_stack([random.normal(size=(rows, 2)), random.choice([0.0, 1.0], size=rows)])
    effect = (-2.0 if is_flipped else 2.0) * X[:, 0]
    return X, random.uniform(size=rows) < 1 / (1 + np.exp(-effect))


def pipeline() -> Any:
    """A pipeline that is fitted in a moment."""
    return make_pipeline(StandardScaler(), LogisticRegression())


def make(folder: Path, **options: Any) -> Artifact:
    """The artifact of a model that was trained on the world before the flip."""
    X, y = world(TRAINED_ROWS, seed=0)
    given = {"include_training_data": True, "columns": COLUMNS, "metrics": "none", "importances": False, **options}
    return dump(pipeline().fit(X, y), X, y, folder, **given)


def write_log(database: Database, X: Array, truth: Array, version: str, *, start: int = 0, **changes: Any) -> None:
    """Writes labelled rows, one every five minutes; the newest of all is old enough to be used. `start` numbers the
    first one. `changes` are values of columns, or lists with one for each row."""
    oldest = datetime.now(UTC) - SINCE
    rows = []
    for place, (row, label) in enumerate(zip(X.tolist(), truth.tolist(), strict=True), start=start):
        created = oldest + place * _EVERY
        rows.append(
            {
                "observation_id": f'"row-{place}"',
                "observation": json.dumps(dict(zip(COLUMNS, row, strict=True))),
                "proba": 0.5,
                "predicted_class": "true" if row[0] > 0 else "false",
                "threshold": 0.5,
                "true_class": "true" if label else "false",
                "model_version": version,
                "created_at": created,
                "labelled_at": created + _DELAY,
                **{name: given[place - start] if isinstance(given, list) else given for name, given in changes.items()},
            }
        )
    with database.atomic():
        for first in range(0, len(rows), 500):
            Prediction.insert_many(rows[first : first + 500]).execute(database)


def registered_before_the_log(registry: Registry, database: Database, version: str) -> None:
    """Makes it look as if a model had been registered before the oldest row of the log."""
    moment = datetime.now(UTC) - SINCE - timedelta(days=1)
    RegisteredModel.update(registered_at=moment).where(RegisteredModel.version == version).execute(database)
