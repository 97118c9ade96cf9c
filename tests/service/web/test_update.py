"""POST /update, in process, on both databases."""

from pathlib import Path
from typing import Any

import pytest

from service.storage.connection import connect
from service.storage.tables import LabelCorrection, Prediction
from tests.conftest import Client, MakeClient
from tests.support.passengers import PASSENGER, prediction


def test_a_true_class_is_recorded_and_the_response_has_the_observation(client: Client) -> None:
    predicted = client.post("/predict", json=prediction(0)).json

    updated = client.post("/update", json={"id": 0, "true_class": 1})

    assert updated.status_code == 200
    assert updated.json == {**predicted, "true_class": True, "observation": PASSENGER}
    assert updated.json["true_class"] is True


def test_a_repeated_prediction_shows_its_true_class(client: Client) -> None:
    client.post("/predict", json=prediction(0))
    client.post("/update", json={"id": 0, "true_class": False})

    assert client.post("/predict", json=prediction(0)).json["true_class"] is False


@pytest.mark.parametrize("true_class", [0, 1, 0.0, 1.0, True, False])
def test_the_equivalent_forms_of_a_boolean_are_accepted(client: Client, true_class: Any) -> None:
    client.post("/predict", json=prediction(0))

    assert client.post("/update", json={"id": 0, "true_class": true_class}).json["true_class"] is bool(true_class)


@pytest.mark.parametrize("true_class", [2, -1, 0.5, "1", "true", "yes", None, [], {}, [1]])
def test_any_other_value_is_refused_and_the_fault_lists_the_classes(client: Client, true_class: Any) -> None:
    client.post("/predict", json=prediction(0))

    response = client.post("/update", json={"id": 0, "true_class": true_class})

    assert response.status_code == 422
    assert response.json["errors"][0]["pointer"] == "/true_class"
    assert response.json["errors"][0]["expected"] == "one of false, true"


def test_an_unknown_id_is_not_found(client: Client) -> None:
    client.post("/predict", json=prediction("0"))

    response = client.post("/update", json={"id": 0, "true_class": 1})

    assert response.status_code == 404
    assert response.content_type == "application/problem+json"
    assert response.json["errors"][0]["pointer"] == "/id"


def test_the_same_true_class_again_changes_nothing(client: Client, database_url: str) -> None:
    client.post("/predict", json=prediction(0))
    first = client.post("/update", json={"id": 0, "true_class": 1})
    again = client.post("/update", json={"id": 0, "true_class": True})

    assert again.json == first.json
    with connect(database_url) as database:
        assert LabelCorrection.select().count(database) == 0


def test_the_last_true_class_wins_and_the_replaced_ones_are_kept(client: Client, database_url: str) -> None:
    client.post("/predict", json=prediction(0))
    for true_class in (1, 0, 1):
        answer = client.post("/update", json={"id": 0, "true_class": true_class})

    assert answer.json["true_class"] is True
    with connect(database_url) as database:
        replaced = [
            row.replaced_class for row in LabelCorrection.select().order_by(LabelCorrection.id).execute(database)
        ]
        labelled = Prediction.select().get(database)
    assert replaced == ["true", "false"]
    assert labelled.true_class == "true"
    assert labelled.labelled_at >= labelled.created_at


def test_an_update_does_not_change_the_prediction(client: Client) -> None:
    predicted = client.post("/predict", json=prediction(0)).json

    updated = client.post("/update", json={"id": 0, "true_class": 1}).json

    assert updated["proba"] == predicted["proba"]
    assert updated["predicted_class"] == predicted["predicted_class"]


def test_an_array_of_updates_is_all_or_nothing(client: Client) -> None:
    client.post("/predict", json=[prediction(1), prediction(2)])

    unknown = client.post(
        "/update", json=[{"id": 1, "true_class": 1}, {"id": 9, "true_class": 1}, {"id": "x", "true_class": 0}]
    )
    invalid = client.post("/update", json=[{"id": 1, "true_class": 1}, {"id": 2, "true_class": "y"}])

    assert unknown.status_code == 404
    assert [fault["pointer"] for fault in unknown.json["errors"]] == ["/1/id", "/2/id"]
    assert [fault["pointer"] for fault in invalid.json["errors"]] == ["/1/true_class"]
    assert client.post("/predict", json=prediction(1)).json["true_class"] is None


def test_an_array_with_two_true_classes_for_one_id_is_refused_and_nothing_is_recorded(client: Client) -> None:
    client.post("/predict", json=[prediction(1), prediction(2)])

    two = client.post("/update", json=[{"id": i, "true_class": label} for i, label in ((1, 1), (2, 1), (1.0, False))])
    same = client.post("/update", json=[{"id": 2, "true_class": label} for label in (1, True, 1.0)])

    assert two.status_code == 422
    assert [fault["pointer"] for fault in two.json["errors"]] == ["/0/true_class", "/2/true_class"]
    assert "the id 1" in two.json["errors"][0]["detail"]
    assert client.post("/predict", json=prediction(1)).json["true_class"] is None
    assert [answer["true_class"] for answer in same.json] == [True, True, True]


def test_the_response_to_an_array_has_its_order(client: Client) -> None:
    client.post("/predict", json=[prediction(i) for i in range(3)])

    answers = client.post("/update", json=[{"id": i, "true_class": i % 2} for i in (2, 0, 1)]).json

    assert [answer["observation_id"] for answer in answers] == [2, 0, 1]
    assert [answer["true_class"] for answer in answers] == [False, False, True]


@pytest.mark.parametrize(
    "payload", [{}, {"id": 0}, {"true_class": 1}, {"id": 0, "true_class": 1, "proba": 0.9}, 3, "x"]
)
def test_a_body_with_the_wrong_structure_is_refused(client: Client, payload: Any) -> None:
    client.post("/predict", json=prediction(0))

    assert client.post("/update", json=payload).status_code == 422


def test_string_labels_are_accepted_unchanged(make_client: MakeClient, artifacts: dict[str, Path]) -> None:
    client = make_client(artifacts=str(artifacts["iris"]))
    names = [column["name"] for column in client.get("/model").json["signature"]["columns"]]
    client.post("/predict", json={"id": 1, "observation": dict.fromkeys(names, 2.0)})

    assert client.post("/update", json={"id": 1, "true_class": "virginica"}).json["true_class"] == "virginica"
    assert client.post("/update", json={"id": 1, "true_class": 0}).status_code == 422


@pytest.mark.parametrize("true_value", [True, "1.5", None, 10**400])
def test_a_true_value_is_a_finite_number(make_client: MakeClient, artifacts: dict[str, Path], true_value: Any) -> None:
    client = make_client(artifacts=str(artifacts["diabetes"]))

    assert client.post("/update", json={"id": 1, "true_value": true_value}).status_code == 422
