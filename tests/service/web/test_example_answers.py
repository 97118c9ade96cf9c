"""Every example of /openapi.json is true: its request is answered 200, with the members and types of its response. The
examples show no more about the model than the rest of the document."""

from pathlib import Path
from typing import Any

import pytest

from serialize import load
from service.web.example_answers import drift_of_column
from tests.conftest import MakeClient
from tests.support.openapi_examples import assert_examples_are_true, examples_of, success_of
from tests.support.passengers import ARTIFACTS, PROJECT, prediction

KEY, ADMIN = "a-key-of-sixteen-characters", "another-key-of-many-characters"


def served(make_client: MakeClient, artifact: Path, folder: Path) -> Any:
    return make_client(
        artifacts=str(artifact),
        database_url=f"sqlite:///{folder}/example.db",
        api_key=(KEY,),
        admin_key=(ADMIN,),
        exports=str(folder),
    )


@pytest.mark.parametrize("name", ["titanic", "iris", "diabetes"])
def test_every_example_is_answered_as_it_says(
    make_client: MakeClient, artifacts: dict[str, Path], tmp_path: Path, name: str
) -> None:
    observations = load(artifacts[name]).manifest.golden.observations

    client = served(make_client, artifacts[name], tmp_path)

    assert_examples_are_true(client, observations, ADMIN, is_seeded=True)


@pytest.mark.parametrize("name", ["titanic", "iris", "diabetes"])
def test_the_example_of_a_model_has_a_threshold_only_if_the_model_has_one(
    make_client: MakeClient, artifacts: dict[str, Path], tmp_path: Path, name: str
) -> None:
    client = served(make_client, artifacts[name], tmp_path)
    content = success_of(client.get("/openapi.json").json["paths"]["/model"]["get"])["content"]
    (example,) = examples_of(content["application/json"]).values()

    card = client.get("/model", headers={"X-API-Key": KEY}).json

    assert (example["threshold"] is None) == (card["threshold"] is None) == (name != "titanic")


@pytest.mark.parametrize("name", ["titanic", "iris"])
def test_the_example_of_a_confusion_matrix_fits_its_accuracy(
    make_client: MakeClient, artifacts: dict[str, Path], tmp_path: Path, name: str
) -> None:
    client = served(make_client, artifacts[name], tmp_path)
    content = success_of(client.get("/openapi.json").json["paths"]["/performance"]["get"])["content"]
    (example,) = examples_of(content["application/json"]).values()

    counts = example["confusion_matrix"]["counts"]

    right = sum(row[place] for place, row in enumerate(counts))
    assert right / sum(map(sum, counts)) == pytest.approx(example["metrics"]["accuracy"]["value"], abs=0.02)


@pytest.mark.parametrize("format_", ["2", "3"])
def test_the_examples_of_an_artifact_of_each_format_are_true(
    make_client: MakeClient, tmp_path: Path, format_: str
) -> None:
    artifact = PROJECT / "tests" / "serialize" / "artifacts" / format_
    observations = load(artifact).manifest.golden.observations

    client = served(make_client, artifact, tmp_path)

    assert_examples_are_true(client, observations, ADMIN, is_seeded=False)


def test_the_drift_of_each_kind_of_column_has_the_members_of_the_example(make_client: MakeClient) -> None:
    manifest = load(ARTIFACTS).manifest
    client = make_client()
    client.post("/predict", json=[prediction(i, Cabin="C85") for i in range(3)])

    drift = client.get("/drift").json["columns"]

    assert {column.kind for column in manifest.signature} == {"integer", "number", "category", "text"}
    for column in manifest.signature:
        assert set(drift_of_column(column, manifest.profile["columns"][column.name])) == set(drift[column.name])


def test_the_examples_do_not_show_what_needs_a_key(
    make_client: MakeClient, artifacts: dict[str, Path], tmp_path: Path
) -> None:
    client = served(make_client, artifacts["titanic"], tmp_path)
    text = client.get("/openapi.json").text
    example = client.get("/openapi.json").json["paths"]["/predict"]["post"]["requestBody"]["content"]

    predicted = client.post(
        "/predict", json=example["application/json"]["examples"]["one"]["value"], headers={"X-API-Key": KEY}
    ).json
    card = client.get("/model", headers={"X-API-Key": KEY}).json

    secrets = [predicted["proba"], card["libraries"]["scikit-learn"], card["libraries"]["python"]]
    for spreads in (card["metrics"]["metrics"], card["metrics"]["baseline"], card["importances"]["columns"]):
        secrets += [spread["mean"] for spread in spreads.values()]
    telling = [secret for secret in map(str, secrets) if len(secret) > 4]  # 0.5 occurs by chance
    assert len(telling) > 20
    assert [secret for secret in telling if secret in text] == []
