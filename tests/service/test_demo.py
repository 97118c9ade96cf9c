"""The demo fills the log through the prediction service, with rows that fit the served model."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from serialize import dump
from serialize.recipes import RECIPES
from service.storage.connection import connect
from service.storage.tables import LabelCorrection, Prediction
from tests.conftest import Client, MakeClient
from tests.support.passengers import all_passengers, prediction

ADMIN = {"X-API-Key": "the-key-of-an-admin"}


def seed(client: Client, **options: Any) -> Any:
    return client.post("/admin/seed", headers=ADMIN, **options)


@pytest.fixture
def client(make_client: MakeClient, database_url: str) -> Client:
    return make_client(database_url=database_url, admin_key=(ADMIN["X-API-Key"],))


def test_five_hundred_passengers_are_predicted_and_labelled(client: Client, database_url: str) -> None:
    response = seed(client)

    assert response.status_code == 200
    assert response.json == {"recipe": "titanic", "rows": 500}
    with connect(database_url) as database:
        rows = list(Prediction.select().execute(database))
    assert {row.observation_id for row in rows} == {f'"demo-{i}"' for i in range(500)}
    assert 0.75 < np.mean([row.true_class == row.predicted_class for row in rows]) < 0.85
    assert {json.loads(row.observation)["Pclass"] for row in rows} == {1, 2, 3}


def test_every_row_has_the_true_class_of_its_own_passenger(client: Client, database_url: str) -> None:
    # Some passengers have the same values and different true classes.
    known = zip(map(json.dumps, all_passengers()), RECIPES["titanic"]().y, strict=True)
    truth = {(row, json.dumps(bool(survived))) for row, survived in known}

    seed(client, json={"rows": 1000})

    with connect(database_url) as database:
        rows = list(Prediction.select().execute(database))
    assert len(rows) == 1000
    assert {(json.dumps(json.loads(row.observation)), row.true_class) for row in rows} <= truth


def test_a_repetition_changes_nothing(client: Client, database_url: str) -> None:
    first, again, more = (
        seed(client, json={"rows": 20}),
        seed(client, json={"rows": 20}),
        seed(client, json={"rows": 30}),
    )

    assert (first.json, again.json, more.json["rows"]) == (again.json, first.json, 30)
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    with connect(database_url) as database:
        assert Prediction.select().count(database) == 30
        assert LabelCorrection.select().count(database) == 0


@pytest.mark.parametrize(("recipe", "rows"), [("iris", 150), ("diabetes", 442)])
def test_the_recipe_of_the_model_gives_all_its_rows_at_most(
    make_client: MakeClient, artifacts: dict[str, Path], recipe: str, rows: int
) -> None:
    client = make_client(artifacts=str(artifacts[recipe]), admin_key=(ADMIN["X-API-Key"],), max_items=7)

    assert seed(client).json == {"recipe": recipe, "rows": rows}


@pytest.mark.parametrize("options", [{"json": {}}, {"data": b""}, {"json": {"rows": 500}}, {"json": {"rows": 500.0}}])
def test_the_number_of_rows_is_optional(client: Client, options: dict[str, Any]) -> None:
    assert seed(client, **options).json["rows"] == 500


@pytest.mark.parametrize("body", [{"rows": 0}, {"rows": -1}, {"rows": 10_001}, {"rows": "5"}, {"rows": True}])
@pytest.mark.parametrize("change", [lambda body: body, lambda body: [body], lambda body: {"x": body}])
def test_an_invalid_body_is_refused(client: Client, body: Any, change: Any) -> None:
    response = seed(client, json=change(body))

    assert response.status_code == 422
    assert response.json["errors"]


def test_a_known_id_with_other_values_is_a_conflict(client: Client) -> None:
    client.post("/predict", json=prediction("demo-3", Age=99))

    response = seed(client)

    assert response.status_code == 409
    assert "demo-3 already exists" in response.json["detail"]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Artifacts of models without a recipe: `fewer` has some of the columns of the passengers, `bounded` refuses the
    older ones, `other` has another column and `value` predicts a number."""
    folder = tmp_path_factory.mktemp("own")
    X, y = RECIPES["titanic"]().X[["Pclass", "SibSp", "Age"]].dropna(), RECIPES["titanic"]().y
    y, young = y[X.index], X.Age < 50
    models: dict[str, tuple[Any, Any, Any, dict[str, Any]]] = {
        "fewer": (LogisticRegression(), X[["Pclass", "SibSp"]], y, {}),
        "bounded": (LogisticRegression(), X[young], y[young], {"bounds": {"Age": (0, 50)}}),
        "other": (LogisticRegression(), pd.DataFrame({"age": X.Age}), y, {"name": "titanic"}),
        "value": (LinearRegression(), X[["Pclass"]], X.Age, {}),
    }
    for name, (model, rows, target, options) in models.items():
        dump(model.fit(rows, target), rows, target, folder / name, **{"name": "own", **options})
    return {name: folder / name for name in models}


@pytest.mark.long
def test_a_model_with_fewer_columns_gets_rows(make_client: MakeClient, own: dict[str, Path]) -> None:
    client = make_client(artifacts=str(own["fewer"]), admin_key=(ADMIN["X-API-Key"],))

    assert seed(client, json={"rows": 3}).json == {"recipe": "titanic", "rows": 3}


@pytest.mark.long
@pytest.mark.parametrize("name", ["bounded", "other", "value"])
def test_a_model_without_a_fitting_recipe_is_refused(
    make_client: MakeClient, own: dict[str, Path], tmp_path: Path, name: str
) -> None:
    client = make_client(artifacts=str(own[name]), admin_key=(ADMIN["X-API-Key"],))

    response = seed(client)

    assert response.status_code == 409
    assert "titanic, iris, diabetes" in response.json["detail"]
    with connect(f"sqlite:///{tmp_path}/predictions.db") as database:
        assert Prediction.select().count(database) == 0
