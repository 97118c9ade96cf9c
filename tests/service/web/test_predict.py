"""POST /predict, in process, on both databases: responses and refusals."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from serialize import dump, load
from tests.conftest import Client, MakeClient
from tests.support.passengers import ARTIFACTS, PASSENGER, PROBA, all_passengers, prediction


def faults(body: Any) -> dict[str, Any]:
    return {fault["pointer"]: fault for fault in body["errors"]}


def test_the_response_to_one_observation_has_five_keys(client: Client) -> None:
    response = client.post("/predict", json=prediction(0))

    assert response.status_code == 200
    assert list(response.json) == ["id", "observation_id", "predicted_class", "proba", "true_class"]
    assert response.json["proba"] == pytest.approx(PROBA, abs=1e-4)
    assert {**response.json, "proba": None} == {
        "id": 1,
        "observation_id": 0,
        "predicted_class": False,
        "proba": None,
        "true_class": None,
    }


def test_the_headers_have_the_model_version_and_the_request_id(client: Client) -> None:
    response = client.post("/predict", json=prediction(0), headers={"X-Request-ID": "abc-1"})

    assert response.headers["X-Model-Version"] == load(ARTIFACTS).version
    assert response.headers["X-Request-ID"] == "abc-1"
    assert response.content_type == "application/json"


def test_a_request_id_that_could_forge_a_log_line_is_replaced(client: Client) -> None:
    response = client.post("/predict", json=prediction(0), headers={"X-Request-ID": "a status=200 b"})

    assert " " not in response.headers["X-Request-ID"]


def test_every_passenger_gets_the_probability_of_the_pipeline(client: Client) -> None:
    model = load(ARTIFACTS).model
    passengers = all_passengers()
    expected = model.outputs(passengers)[:, 1]

    answers = client.post("/predict", json=[{"id": i, "observation": row} for i, row in enumerate(passengers)]).json

    assert [answer["observation_id"] for answer in answers] == list(range(1309))
    assert [answer["proba"] for answer in answers] == pytest.approx(expected, abs=1e-9)


def test_an_absent_nullable_column_is_null(client: Client) -> None:
    bare = {name: value for name, value in PASSENGER.items() if name not in ("Cabin", "Age")}

    absent = client.post("/predict", json={"id": "absent", "observation": bare}).json
    null = client.post("/predict", json=prediction("null", Cabin=None, Age=None)).json

    assert absent["proba"] == null["proba"]


def test_all_nullable_columns_null_at_once_are_scored(client: Client) -> None:
    response = client.post("/predict", json=prediction(0, Age=None, Fare=None, Cabin=None, Embarked=None))

    assert response.status_code == 200


def test_the_same_id_and_observation_get_the_stored_prediction(client: Client) -> None:
    first = client.post("/predict", json=prediction("a"))
    again = client.post("/predict", json=prediction("a"))

    assert again.json == first.json
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"


def test_the_order_of_keys_and_the_notation_of_numbers_do_not_matter(client: Client) -> None:
    client.post("/predict", json=prediction("a"))

    reordered = dict(reversed(PASSENGER.items())) | {"Age": 22, "Pclass": 3.0}
    again = client.post("/predict", json={"id": "a", "observation": reordered})

    assert again.headers["Idempotent-Replayed"] == "true"


def test_the_same_id_with_another_observation_is_a_conflict_and_changes_nothing(client: Client) -> None:
    first = client.post("/predict", json=prediction(0))

    other = client.post("/predict", json=prediction(0, Age=40))

    assert other.status_code == 409
    assert other.json["error"] == "Observation ID: 0 already exists"
    assert client.post("/predict", json=prediction(0)).json == first.json


def test_zero_and_the_string_zero_are_two_ids_and_one_point_zero_is_one(client: Client) -> None:
    rows = [client.post("/predict", json=prediction(id_)).json for id_ in (0, "0", 1, 1.0)]

    assert [row["observation_id"] for row in rows] == [0, "0", 1, 1]
    assert len({row["id"] for row in rows}) == 3


@pytest.mark.parametrize("id_", [2**63 - 1, -(2**63), "x" * 255, "é", "\U0001f6a2", "a\nb", " "])
def test_an_id_keeps_its_type_and_value(client: Client, id_: Any) -> None:
    assert client.post("/predict", json=prediction(id_)).json["observation_id"] == id_


@pytest.mark.parametrize(
    "id_", [True, None, 1.5, 2**63, -(2**63) - 1, "", "x" * 256, "a\0b", "\ud800", [], {}, [1], 1e300, 2.0**53]
)
def test_any_other_value_is_refused_as_an_id(client: Client, id_: Any) -> None:
    response = client.post("/predict", data=json.dumps(prediction(id_)), content_type="application/json")

    assert response.status_code == 422
    assert list(faults(response.json)) == ["/id"]


def test_a_float_above_2_to_the_53_is_refused_as_an_id_alone_and_in_an_array(client: Client) -> None:
    client.post("/predict", json=prediction(2**53))
    exact = {"/predict": json.dumps(prediction(0)), "/update": '{"id": 0, "true_class": 1}'}

    for path, body in exact.items():
        item = body.replace('"id": 0', '"id": 9007199254740993.0')
        alone = client.post(path, data=item, content_type="application/json")
        within = client.post(path, data=f"[{item}]", content_type="application/json")

        assert (alone.status_code, list(faults(alone.json))) == (422, ["/id"])
        assert (within.status_code, list(faults(within.json))) == (422, ["/0/id"])


def test_all_faults_are_reported_at_once_with_their_values(client: Client) -> None:
    bad = {**PASSENGER, "Age": "twenty", "Sex": "potato", "Fare": -1, "Pclass": 3.5, "Deck": "C"}
    del bad["Parch"]

    response = client.post("/predict", json={"id": True, "observation": bad, "extra": 1})

    found = faults(response.json)
    assert response.status_code == 422
    assert set(found) == {"/id", "/extra"} | {
        f"/observation/{name}" for name in ("Age", "Sex", "Fare", "Pclass", "Deck", "Parch")
    }
    assert found["/observation/Age"]["value"] == "twenty"
    assert found["/observation/Sex"]["expected"] == 'one of "female", "male"'
    assert "Age" in response.json["error"]
    assert "twenty" in response.json["error"]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("Age", "20"),
        ("Age", -12),
        ("Age", 121),
        ("Age", True),
        ("Age", [22]),
        ("Age", {"years": 22}),
        ("Age", 10**400),
        ("Fare", "7.25"),
        ("Pclass", None),
        ("Pclass", "3"),
        ("Pclass", 2**63),
        ("Pclass", True),
        ("Sex", None),
        ("Sex", 1),
        ("Sex", "Male"),
        ("Sex", ""),
        ("Cabin", 85),
        ("Cabin", "x" * 1001),
        ("Cabin", "a\0"),
        ("Cabin", "\udfff"),
        ("Embarked", "X"),
    ],
)
def test_a_value_that_the_signature_refuses_is_reported(client: Client, column: str, value: Any) -> None:
    body = json.dumps(prediction(0, **{column: value}))

    response = client.post("/predict", data=body, content_type="application/json")

    assert response.status_code == 422
    assert list(faults(response.json)) == [f"/observation/{column}"]
    assert column in response.json["error"]


@pytest.mark.parametrize("payload", ["null", "1", '"text"', "{}", '{"id": 1}', '{"observation": {}}', "[1]", "[[]]"])
def test_a_body_with_the_wrong_structure_is_refused(client: Client, payload: str) -> None:
    response = client.post("/predict", data=payload, content_type="application/json")

    assert response.status_code == 422
    assert response.json["errors"]


@pytest.mark.parametrize("observation", [None, 1, "text", [], [1]])
def test_an_observation_must_be_an_object(client: Client, observation: Any) -> None:
    response = client.post("/predict", json={"id": 1, "observation": observation})

    assert list(faults(response.json)) == ["/observation"]


def test_the_response_to_an_array_has_its_order(client: Client) -> None:
    bodies = [prediction(id_, Age=age) for id_, age in (("b", 30), ("a", 20), (7, 25))]

    answers = client.post("/predict", json=bodies).json

    alone = [client.post("/predict", json=body).json for body in bodies]
    assert answers == alone


def test_the_response_to_an_empty_array_is_an_empty_array(client: Client) -> None:
    assert client.post("/predict", json=[]).json == []


def test_nothing_of_an_array_with_a_bad_item_is_stored(client: Client) -> None:
    response = client.post("/predict", json=[prediction(1), prediction(2, Age="old"), prediction(True)])

    assert list(faults(response.json)) == ["/1/observation/Age", "/2/id"]
    assert client.post("/update", json={"id": 1, "true_class": 0}).status_code == 404


def test_nothing_of_an_array_with_a_conflict_is_stored(client: Client) -> None:
    client.post("/predict", json=prediction(2))

    response = client.post("/predict", json=[prediction(1), prediction(2, Age=60), prediction(3)])

    assert response.status_code == 409
    assert list(faults(response.json)) == ["/1/id"]
    assert client.post("/update", json={"id": 1, "true_class": 0}).status_code == 404


def test_the_same_id_twice_in_an_array_is_one_row_if_the_observations_are_equal(client: Client) -> None:
    same = client.post("/predict", json=[prediction(1), prediction(1)])
    other = client.post("/predict", json=[prediction(2), prediction(2, Age=60)])

    assert same.json[0] == same.json[1]
    assert other.status_code == 409
    assert list(faults(other.json)) == ["/1/id"]


def test_the_pointers_for_an_array_of_one_item_have_its_index(client: Client) -> None:
    client.post("/predict", json=prediction(1))

    assert list(faults(client.post("/predict", json=[prediction(1, Age=60)]).json)) == ["/0/id"]
    assert list(faults(client.post("/predict", json=prediction(1, Age=60)).json)) == ["/id"]


def test_more_items_than_the_limit_are_refused(make_client: MakeClient) -> None:
    response = make_client(max_items=2).post("/predict", json=[prediction(i) for i in range(3)])

    assert response.status_code == 413


def test_a_multiclass_response_has_every_probability(make_client: MakeClient, artifacts: dict[str, Path]) -> None:
    client = make_client(artifacts=str(artifacts["iris"]))
    names = [column["name"] for column in client.get("/model").json["signature"]["columns"]]

    answer = client.post("/predict", json={"id": 1, "observation": dict(zip(names, [5.1, 3.5, 1.4, 0.2], strict=True))})

    assert answer.json["predicted_class"] == "setosa"
    assert answer.json["proba"] == answer.json["probas"]["setosa"] == max(answer.json["probas"].values())
    assert sum(answer.json["probas"].values()) == pytest.approx(1.0)


def test_a_regression_response_has_a_value_and_no_probability(
    make_client: MakeClient, artifacts: dict[str, Path], database_url: str
) -> None:
    client = make_client(artifacts=str(artifacts["diabetes"]), database_url=database_url)
    artifact = load(artifacts["diabetes"])
    row = dict(artifact.manifest.golden.observations[0])

    answer = client.post("/predict", json={"id": 1, "observation": row}).json

    assert list(answer) == ["id", "observation_id", "predicted_value", "true_value"]
    assert answer["predicted_value"] == pytest.approx(artifact.model.outputs([row])[0, 0], abs=1e-9)
    assert client.post("/update", json={"id": 1, "true_value": 151}).json["true_value"] == 151.0
    assert client.post("/update", json={"id": 1, "true_class": 151}).status_code == 422


def test_the_row_is_in_the_database_and_queryable_as_json(make_client: MakeClient, tmp_path: Path) -> None:
    client = make_client(database_url=f"sqlite:///{tmp_path}/log.db")
    answer = client.post("/predict", json=prediction("a")).json

    with closing(sqlite3.connect(tmp_path / "log.db")) as connection, connection:
        row = connection.execute(
            "SELECT id, observation_id, json_extract(observation, '$.Sex'), proba, predicted_class, true_class,"
            " threshold, model_version FROM prediction"
        ).fetchone()
    assert row == (1, '"a"', "male", answer["proba"], "false", None, 0.5, load(ARTIFACTS).version)


def test_a_column_that_accepts_unseen_values_scores_and_counts_them(tmp_path: Path, make_client: MakeClient) -> None:
    X = pd.DataFrame({"port": ["C", "S"] * 30, "deck": pd.Categorical([1, 2, 3] * 20), "sex": ["f", "m", "m"] * 20})
    y = np.arange(60) % 5 < 2
    pipeline = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression()).fit(X, y)
    artifact = dump(pipeline, X, y, tmp_path / "model", accept_unseen=["port", "deck"])
    client = make_client(artifacts=str(tmp_path / "model"))
    rows: list[dict[str, Any]] = [
        {"port": "X", "deck": 1, "sex": "f"},
        {"port": "C", "deck": 9, "sex": "f"},
        {"port": "", "deck": -1, "sex": "m"},
    ]

    answers = client.post("/predict", json=[{"id": i, "observation": row} for i, row in enumerate(rows * 20)]).json
    refused = client.post("/predict", json={"id": 99, "observation": {"port": "x" * 1001, "deck": 1.5, "sex": "d"}})
    document, model, drift = (client.get(path).json for path in ("/openapi.json", "/model", "/drift"))

    wanted = pipeline.predict_proba(pd.DataFrame(rows).astype({"deck": "category"}))[:, 1]
    assert artifact.compiled is not None
    assert [answer["proba"] for answer in answers[:3]] == pytest.approx(list(wanted), abs=1e-9)
    assert artifact.model.outputs(rows)[:, 1] == pytest.approx(wanted, abs=1e-9)
    assert {pointer: fault["expected"] for pointer, fault in faults(refused.json).items()} == {
        "/observation/port": 'a string of at most 1000 characters (known: "C", "S")',
        "/observation/deck": "an integer (known: 1, 2, 3)",
        "/observation/sex": 'one of "f", "m"',
    }
    properties = document["components"]["schemas"]["Observation"]["properties"]
    assert properties["sex"] == {"enum": ["f", "m"]}
    assert "enum" not in properties["port"]
    assert (properties["port"]["type"], properties["port"]["maxLength"]) == ("string", 1000)
    assert properties["port"]["description"] == 'The known values are "C", "S"; others are accepted.'
    assert properties["deck"]["description"] == "The known values are 1, 2, 3; others are accepted."
    assert [column.get("accepts_unseen") for column in model["signature"]["columns"]] == [True, True, None]
    assert drift["columns"]["port"]["unseen_rate"] == pytest.approx(2 / 3)
    assert drift["columns"]["deck"]["unseen_rate"] == pytest.approx(2 / 3)
    assert "unseen categories" in drift["columns"]["port"]["changes"]
