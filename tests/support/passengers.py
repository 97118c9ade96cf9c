"""Observations for the tests: passengers of the shipped model as JSON."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

PROJECT = Path(__file__).parents[2]
ARTIFACTS = PROJECT / "artifacts"

PASSENGER: dict[str, Any] = {
    "Age": 22.0,
    "Cabin": None,
    "Embarked": "S",
    "Fare": 7.25,
    "Parch": 0,
    "Pclass": 3,
    "Sex": "male",
    "SibSp": 1,
}
PROBA = 0.0958


def prediction(id_: Any, **changes: Any) -> dict[str, Any]:
    """A body for /predict: the passenger of the documentation, with changes."""
    return {"id": id_, "observation": {**PASSENGER, **changes}}


def all_passengers() -> list[dict[str, Any]]:
    """The observations of all 1,309 passengers."""
    table = pd.read_csv(PROJECT / "data" / "titanic.csv").drop(columns="Survived")
    rows: list[dict[str, Any]] = json.loads(table.to_json(orient="records", double_precision=15))
    return rows
