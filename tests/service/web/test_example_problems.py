"""The error examples of /openapi.json are what the application answers to some requests. Those of the server below it
are tested over HTTP."""

from typing import Any

import jsonschema
import pytest

from serialize import load
from service.prediction.service import PredictionService
from service.storage.learning.jobs import JobStore
from tests.conftest import Client, MakeClient
from tests.support.openapi_examples import answer_like, problem_examples
from tests.support.passengers import ARTIFACTS, PASSENGER, prediction

KEY, ADMIN = "a-key-of-sixteen-characters", "another-key-of-many-characters"
AS_ADMIN = {"X-API-Key": ADMIN}
OF_SERVER = {
    "bad-request",
    "slow-body",
    "request-uri-too-long",
    "expectation-failed",
    "request-header-fields-too-large",
    "not-implemented",
}


@pytest.fixture
def client(make_client: MakeClient) -> Client:
    return make_client(api_key=(KEY,), admin_key=(ADMIN,))


def examples_of(client: Client) -> dict[str, Any]:
    return problem_examples(client.get("/openapi.json").json)


def assert_answer(example: Any, response: Any) -> None:
    assert response.status_code == example["status"]
    assert response.json == answer_like(example, response.headers["X-Request-ID"])


def test_every_example_of_the_application_is_its_answer_to_a_request(client: Client) -> None:
    examples = examples_of(client)
    known = examples["observation-conflict"]["errors"][0]["value"]
    unknown = examples["unknown-observation"]["errors"][0]["value"]
    repeated = {"data": '{"id": 1, "id": 1}', "content_type": "application/json"}
    requests: dict[str, tuple[str, dict[str, Any]]] = {
        "malformed-body": ("/predict", repeated),
        "unauthorized": ("/predict", {"headers": {}}),
        "forbidden": ("/admin/reset", {"headers": {"X-API-Key": KEY}}),
        "unknown-observation": ("/update", {"json": {"id": unknown, "true_class": 1}}),
        "unknown-model": ("/models/000000000000", {"method": "GET"}),
        "unknown-job": ("/admin/jobs/0", {"method": "GET"}),
        "job-conflict": ("/admin/jobs/1", {"method": "DELETE"}),
        "model-conflict": ("/admin/models/rollback", {}),
        "not-found": ("/nothing", {}),
        "method-not-allowed": ("/predict", {"method": "GET"}),
        "observation-conflict": ("/predict", {"json": prediction(known, Age=1)}),
        "body-too-large": ("/predict", {"json": [1] * 10_001}),
        "unsupported-body": ("/predict", {"data": "{}"}),
        "invalid-body": ("/predict", {"json": {"id": 1}}),
        "invalid-query": ("/drift?since=monday", {"method": "GET"}),
    }
    client.post("/predict", json={"id": known, "observation": PASSENGER}, headers=AS_ADMIN)
    jobs = JobStore(client.application.extensions["session"])
    jobs.cancel(jobs.add("retrain", {}, "me@here"))

    for name, (path, options) in requests.items():
        assert_answer(examples[name], client.open(path, **{"method": "POST", "headers": AS_ADMIN, **options}))

    assert set(examples) - set(requests) == OF_SERVER | {"internal-error", "unavailable", "cannot-learn"}


def test_the_example_of_a_failure_is_the_answer_to_an_unexpected_exception(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(PredictionService, "predict", fail)

    assert_answer(examples_of(client)["internal-error"], client.post("/predict", json={}, headers=AS_ADMIN))


def test_the_example_of_a_model_that_cannot_be_trained_is_the_answer_where_no_other_may_serve(
    make_client: MakeClient,
) -> None:
    client = make_client(admin_key=(ADMIN,), model_digest=load(ARTIFACTS).digest)

    assert_answer(examples_of(client)["cannot-learn"], client.post("/admin/retrain", headers=AS_ADMIN))


def test_the_example_of_an_overload_is_the_answer_while_too_many_requests_wait(make_client: MakeClient) -> None:
    client = make_client(max_pending=0)

    response = client.post("/predict", json=prediction(1))

    assert_answer(examples_of(client)["unavailable"], response)


def test_an_array_is_too_long_in_the_example_where_it_is_too_long_in_the_service(make_client: MakeClient) -> None:
    client = make_client(max_items=2)

    assert_answer(examples_of(client)["body-too-large"], client.post("/predict", json=[prediction(i) for i in "abc"]))


def test_every_example_fits_the_schema_of_its_status(client: Client) -> None:
    document = client.get("/openapi.json").json

    for response in document["components"]["responses"].values():
        content = response["content"]["application/problem+json"]
        schema = {**content["schema"], "components": document["components"]}
        assert content["examples"]
        for example in content["examples"].values():
            jsonschema.Draft202012Validator(schema).validate(example["value"])
