"""What is sent and what must come back: the passengers that the shipped model was trained on, and the README's with
its right answer. In a template `@ID@` stands for the id, so that every request can have its own."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

PROJECT = Path(__file__).parents[1]
DATA = PROJECT / "data" / "titanic.csv"
TARGET = "Survived"
ID = "@ID@"

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
TOLERANCE = 1e-4

Template = Callable[[dict[str, Any]], str]


class WrongAnswer(Exception):
    """A server answered something else than the right probability; its requests do not count."""


def training_rows() -> pd.DataFrame:
    """The 1,309 rows that the model was trained on, without the target."""
    return pd.read_csv(DATA).drop(columns=TARGET)


def all_passengers() -> list[dict[str, Any]]:
    """The same as observations in JSON's types."""
    rows: list[dict[str, Any]] = json.loads(training_rows().to_json(orient="records", double_precision=15))
    return rows


def prediction(observation: dict[str, Any]) -> str:
    """A template of the body that the service, and every service written to be compared with it, takes."""
    return f'{{"id": {ID}, "observation": {json.dumps(observation)}}}'


def true_class(_: dict[str, Any]) -> str:
    """A template of the body of /update."""
    return f'{{"id": {ID}, "true_class": true}}'


def write_templates(path: Path, template: Template, observations: Sequence[dict[str, Any]]) -> None:
    """Writes one template a line, for the load generators."""
    path.write_text("".join(template(observation) + "\n" for observation in observations))


def require_right(status: int, proba: float | None, expected: float = PROBA) -> None:
    """Raises WrongAnswer unless an answer has a status of 2xx and the expected probability."""
    if not 200 <= status < 300:
        raise WrongAnswer(f"the status is {status}")
    if proba is None or not abs(proba - expected) <= TOLERANCE:
        raise WrongAnswer(f"the probability is {proba}, not {expected}")
