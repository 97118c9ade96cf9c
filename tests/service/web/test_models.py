"""The registry over HTTP: who may see it, what it answers, and how a model becomes the champion."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from serialize.content import Content, read_content
from serialize.errors import ArtifactError
from serialize.trust import signature
from service.registry.registry import Registry
from service.storage.connection import connect
from service.storage.models.promotions import Promotions
from service.storage.models.store import ModelStore
from service.storage.session import Session
from tests.conftest import Client, MakeClient
from tests.support.passengers import prediction
from tests.support.waiting import WAIT_SECONDS

KEY, ADMIN, OTHER_ADMIN = "a-key-of-sixteen-characters", "another-key-of-many-characters", "one-more-key-of-characters"
SIGNING = "k" * 32
UNKNOWN = "0" * 12


class Proof:
    """Stands for the process that loads a model: what it finds."""

    def __init__(self) -> None:
        self.find: Callable[[str], dict[str, int]] = lambda _: {}

    def __call__(self, version: str) -> dict[str, int]:
        return self.find(version)


@pytest.fixture
def proof(monkeypatch: pytest.MonkeyPatch) -> Proof:
    proof = Proof()
    monkeypatch.setattr("service.registry.release.prove", proof)
    return proof


@pytest.fixture
def models(artifacts: dict[str, Path]) -> dict[str, Content]:
    return {name: read_content(folder) for name, folder in artifacts.items()}


@pytest.fixture
def client(make_client: MakeClient, database_url: str, proof: Proof) -> Client:
    """A client with a key of the administration. Titanic serves."""
    client = make_client(
        database_url=database_url, model_signing_key=SIGNING, api_key=(KEY,), admin_key=(ADMIN, OTHER_ADMIN)
    )
    client.environ_base["HTTP_X_API_KEY"] = ADMIN
    return client


@pytest.fixture
def registry(client: Client, database_url: str) -> Iterator[Registry]:
    session = Session(connect(database_url))
    yield Registry(ModelStore(session), Promotions(session), (SIGNING,), 2**30, lambda _: {})
    session.close()


def by(key: str) -> str:
    return "http:" + sha256(key.encode()).hexdigest()[:8]


def promote(client: Client, version: str, **body: Any) -> Any:
    return client.post(f"/admin/models/{version}/promote", json=body)


def rollback(client: Client, **body: Any) -> Any:
    return client.post("/admin/models/rollback", json=body)


def assert_problem(answer: Any, status: int, slug: str, *words: str) -> None:
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    assert answer.json["type"].endswith(":" + slug)
    for word in words:
        assert word in answer.json["detail"]


def test_the_list_has_the_champion_the_models_and_the_promotions(
    client: Client, registry: Registry, models: dict[str, Content]
) -> None:
    titanic = models["titanic"].version
    iris = registry.register(models["iris"], "ann@laptop", "more flowers", 17).version
    promoted = promote(client, iris, reason="better")

    found = client.get("/models").json

    assert promoted.json == {"champion": iris, "before": titanic}
    assert set(found) == {"champion", "models", "promotions"}
    assert found["champion"] == iris
    assert [model["version"] for model in found["models"]] == [iris, titanic]
    registered_at = found["models"][0].pop("registered_at")
    assert datetime.fromisoformat(registered_at) == registry.model(iris).registered_at
    assert found["models"][0] == {
        "version": iris,
        "name": "iris",
        "state": "registered",
        "registered_by": "ann@laptop",
        "trained_until": 17,
        "note": "more flowers",
        "champion": True,
    }
    assert found["models"][1]["champion"] is False
    newest, first = found["promotions"]
    assert datetime.fromisoformat(newest.pop("at")) == registry.promotions.history()[-1].promoted_at
    assert newest == {
        "id": first["id"] + 1,
        "from": titanic,
        "to": iris,
        "by": by(ADMIN),
        "reason": "better",
        "figures": None,
        "undoes": None,
    }
    assert (first["from"], first["to"]) == (None, titanic)


@pytest.mark.parametrize("reason", ["x", "x" * 1000])
def test_a_reason_may_be_short_and_long(
    client: Client, registry: Registry, models: dict[str, Content], reason: str
) -> None:
    iris = registry.register(models["iris"], "me@here").version

    assert promote(client, iris, reason=reason).status_code == 200
    assert client.get("/models").json["promotions"][0]["reason"] == reason


def test_figures_of_a_promotion_are_json(client: Client, registry: Registry, models: dict[str, Content]) -> None:
    iris = registry.register(models["iris"], "me@here").version
    registry.promote(iris, "me@here", "gate", {"roc_auc": {"before": 0.8, "after": 0.9}})

    assert client.get("/models").json["promotions"][0]["figures"] == {"roc_auc": {"before": 0.8, "after": 0.9}}


def test_a_list_has_at_most_its_limit_and_the_newest(
    client: Client, registry: Registry, models: dict[str, Content]
) -> None:
    iris, diabetes = (registry.register(models[name], "me@here").version for name in ("iris", "diabetes"))
    for version in (iris, diabetes):
        promote(client, version)

    found = client.get("/models?limit=2").json

    assert [model["version"] for model in found["models"]] == [diabetes, iris]
    assert [entry["to"] for entry in found["promotions"]] == [diabetes, iris]


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "limit=1&limit=2", "before=1"])
def test_a_wrong_parameter_is_named(client: Client, query: str) -> None:
    answer = client.get(f"/models?{query}")

    assert_problem(answer, 422, "invalid-query")
    assert [fault["pointer"] for fault in answer.json["errors"]] == [f"/{query.partition('=')[0]}"]


def test_a_model_is_described_by_its_manifest(client: Client, registry: Registry, models: dict[str, Content]) -> None:
    listed = client.get("/models").json["models"][0]
    card = client.get("/model").json

    found = client.get(f"/models/{models['titanic'].version}").json

    assert {name: found[name] for name in listed} == listed
    others = set(found) - {*listed, "verdict"}
    assert {"task", "classes", "threshold", "signature", "metrics", "libraries", "warnings"} <= others
    assert {name: found[name] for name in others} == {name: card[name] for name in others}
    assert found["verdict"] is None


def test_a_retired_model_and_one_of_another_task_are_described(
    client: Client, registry: Registry, models: dict[str, Content]
) -> None:
    version = registry.register(models["diabetes"], "me@here").version
    registry.retire(version)

    found = client.get(f"/models/{version}").json

    assert (found["state"], found["champion"], found["task"]) == ("retired", False, "regression")


@pytest.mark.parametrize("version", [UNKNOWN, "x", "0" * 11, "%00" * 12, "%ff" * 12, "\u0660" * 12, "a" * 3000])
def test_an_unknown_version_is_404(client: Client, version: str) -> None:
    assert_problem(client.get(f"/models/{version}"), 404, "unknown-model", "There is no model")
    assert_problem(promote(client, version), 404, "unknown-model", "There is no model")


def test_a_manifest_that_no_key_signed_is_not_shown(
    client: Client, registry: Registry, models: dict[str, Content]
) -> None:
    model = registry.register(models["iris"], "me@here")
    registry.store.replace_signature(model.version, signature(model.manifest, "o" * 32))

    assert_problem(client.get(f"/models/{model.version}"), 409, "model-conflict", model.version)


def test_only_an_administrator_may_promote(client: Client, registry: Registry, models: dict[str, Content]) -> None:
    iris = registry.register(models["iris"], "me@here").version
    for path in (f"/admin/models/{iris}/promote", "/admin/models/rollback"):
        for key, status in (("", 401), ("wrong-key-of-16-characters", 401), (KEY, 403)):
            assert client.post(path, json={}, headers={"X-API-Key": key}).status_code == status

    assert client.get("/models", headers={"X-API-Key": KEY}).json["champion"] == models["titanic"].version
    assert client.get("/models", headers={"X-API-Key": ""}).status_code == 401
    assert client.get(f"/models/{iris}", headers={"X-API-Key": ""}).status_code == 401


def test_the_history_has_the_fingerprint_of_the_key_that_was_used(
    client: Client, registry: Registry, models: dict[str, Content]
) -> None:
    iris = registry.register(models["iris"], "me@here").version
    client.post(f"/admin/models/{iris}/promote", headers={"X-API-Key": KEY, "Authorization": f"Bearer {OTHER_ADMIN}"})
    rollback(client)

    assert [entry["by"] for entry in client.get("/models").json["promotions"][:2]] == [by(ADMIN), by(OTHER_ADMIN)]


def test_each_rollback_goes_back_one_further_and_names_what_it_undoes(
    client: Client, registry: Registry, models: dict[str, Content]
) -> None:
    titanic = models["titanic"].version
    iris, diabetes = (registry.register(models[name], "me@here").version for name in ("iris", "diabetes"))
    for version in (iris, diabetes):
        promote(client, version)

    answers = [rollback(client, reason="worse"), rollback(client)]

    assert [answer.json for answer in answers] == [
        {"champion": iris, "before": diabetes},
        {"champion": titanic, "before": iris},
    ]
    assert_problem(rollback(client), 409, "model-conflict", "no earlier champion")
    second, first, to_diabetes, to_iris, _ = client.get("/models").json["promotions"]
    assert (first["undoes"], second["undoes"]) == (to_diabetes["id"], to_iris["id"])
    assert (first["reason"], second["reason"]) == ("worse", "rollback")
    assert registry.promotions.champion() == titanic


def test_what_cannot_be_promoted_is_409(client: Client, registry: Registry, models: dict[str, Content]) -> None:
    retired = registry.register(models["iris"], "me@here").version
    registry.retire(retired)

    assert_problem(promote(client, retired), 409, "model-conflict", "retired")
    assert_problem(promote(client, models["titanic"].version), 409, "model-conflict", "champion already")


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ([], [""]),
        ("force", [""]),
        ({"reason": 1}, ["/reason"]),
        ({"reason": ""}, ["/reason"]),
        ({"reason": "x" * 1001}, ["/reason"]),
        ({"reason": "a\0"}, ["/reason"]),
        ({"reason": "\ud800"}, ["/reason"]),
        ({"reason": 1, "force": 1, "forced": True}, ["/force", "/forced", "/reason"]),
        ({"force": None}, ["/force"]),
    ],
)
def test_every_fault_of_a_body_is_named(
    client: Client, registry: Registry, models: dict[str, Content], body: Any, pointers: list[str]
) -> None:
    iris = registry.register(models["iris"], "me@here").version

    answer = client.post(f"/admin/models/{iris}/promote", json=body)

    assert_problem(answer, 422, "invalid-body")
    assert sorted(fault["pointer"] for fault in answer.json["errors"]) == pointers
    assert rollback(client, force=True, reason=2).status_code == 422
    assert registry.promotions.champion() == models["titanic"].version


@pytest.mark.parametrize("body", [{}, {"reason": None}, {"reason": "Ünï 🚢 \n" + "x" * 990, "force": False}])
def test_every_member_of_a_body_may_be_missing(
    client: Client, registry: Registry, models: dict[str, Content], body: dict[str, Any]
) -> None:
    iris = registry.register(models["iris"], "me@here").version

    assert promote(client, iris, **body).status_code == 200
    assert registry.promotions.history()[-1].reason == body.get("reason")
    assert client.post("/admin/models/rollback").status_code == 200


def test_a_model_that_refuses_logged_observations_is_promoted_only_by_force(
    client: Client, registry: Registry, models: dict[str, Content], proof: Proof
) -> None:
    proof.find = lambda _: {"Fare": 3, "Age": 17}
    iris = registry.register(models["iris"], "me@here").version

    assert_problem(promote(client, iris), 409, "model-conflict", "Age (17), Fare (3)", '{"force": true}')
    assert registry.promotions.champion() == models["titanic"].version
    assert promote(client, iris, force=True).json["champion"] == iris


def test_a_model_that_cannot_be_proven_is_409(
    client: Client, registry: Registry, models: dict[str, Content], proof: Proof
) -> None:
    def fail(version: str) -> dict[str, int]:
        raise ArtifactError(f"Model {version} cannot be proven: no memory")

    proof.find = fail
    iris = registry.register(models["iris"], "me@here").version

    assert_problem(promote(client, iris, force=True), 409, "model-conflict", "cannot be proven: no memory")


def test_others_are_answered_while_a_model_is_proven_and_promotions_take_turns(
    client: Client, registry: Registry, models: dict[str, Content], proof: Proof
) -> None:
    iris, diabetes = (registry.register(models[name], "me@here").version for name in ("iris", "diabetes"))
    begun, goes_on = threading.Event(), threading.Event()
    proven: list[str] = []

    def slow(version: str) -> dict[str, int]:
        proven.append(version)
        begun.set()
        assert goes_on.wait(WAIT_SECONDS)
        return {}

    proof.find = slow
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(promote, another(client), iris)
        assert begun.wait(WAIT_SECONDS)
        second = pool.submit(promote, another(client), diabetes)
        meanwhile = [client.get("/models"), client.get(f"/models/{iris}"), client.post("/predict", json=prediction(1))]
        proven_meanwhile = list(proven)
        goes_on.set()

    assert [answer.status_code for answer in meanwhile] == [200, 200, 200]
    assert meanwhile[0].json["champion"] == models["titanic"].version
    assert (proven_meanwhile, proven) == ([iris], [iris, diabetes])
    assert first.result().json == {"champion": iris, "before": models["titanic"].version}
    assert second.result().json == {"champion": diabetes, "before": iris}


def test_a_promotion_by_another_worker_during_the_proof_wins(
    client: Client, registry: Registry, models: dict[str, Content], proof: Proof
) -> None:
    iris, diabetes = (registry.register(models[name], "me@here").version for name in ("iris", "diabetes"))

    def overtaken(_: str) -> dict[str, int]:
        registry.promote(diabetes, "me@here")
        return {}

    proof.find = overtaken

    assert_problem(promote(client, iris), 409, "model-conflict", "Another promotion came first")
    assert client.get("/models").json["champion"] == diabetes


def test_a_promotion_that_waits_too_long_for_its_turn_is_503(
    make_client: MakeClient, artifacts: dict[str, Path], proof: Proof
) -> None:
    client = make_client(admin_key=(ADMIN,), request_timeout=0.1)
    client.environ_base["HTTP_X_API_KEY"] = ADMIN
    begun, goes_on = threading.Event(), threading.Event()

    def slow(_: str) -> dict[str, int]:
        begun.set()
        assert goes_on.wait(WAIT_SECONDS)
        return {}

    proof.find = slow
    version = register(client, artifacts["iris"])
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(promote, another(client), version)
        assert begun.wait(WAIT_SECONDS)
        answer = rollback(client)
        goes_on.set()

    assert_problem(answer, 503, "unavailable")
    assert int(answer.headers["Retry-After"]) >= 1
    assert first.result().status_code == 200


def test_a_registry_that_is_off_says_what_to_set(make_client: MakeClient, postgresql_url: str) -> None:
    client = make_client(database_url=postgresql_url, admin_key=(ADMIN,))
    client.environ_base["HTTP_X_API_KEY"] = ADMIN

    for answer in (client.get("/models"), client.get(f"/models/{UNKNOWN}"), promote(client, UNKNOWN), rollback(client)):
        assert_problem(answer, 409, "model-conflict", "MODEL_SIGNING_KEY")


def test_a_registry_that_is_read_only_says_what_to_remove(
    make_client: MakeClient, client: Client, registry: Registry, models: dict[str, Content], database_url: str
) -> None:
    iris = registry.register(models["iris"], "me@here").version
    pinned = make_client(
        database_url=database_url,
        model_signing_key=SIGNING,
        admin_key=(ADMIN,),
        model_digest=models["titanic"].digest,
    )
    pinned.environ_base["HTTP_X_API_KEY"] = ADMIN

    for answer in (promote(pinned, iris, force=True), rollback(pinned)):
        assert_problem(answer, 409, "model-conflict", "MODEL_DIGEST")
    assert pinned.get("/models").json["champion"] == models["titanic"].version
    assert pinned.get(f"/models/{iris}").status_code == 200


def test_all_is_503_while_the_database_is_away(
    client: Client, registry: Registry, models: dict[str, Content], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    iris = registry.register(models["iris"], "me@here").version

    def away(_: Any) -> None:
        raise OSError

    with monkeypatch.context() as patched:
        patched.setattr(Session, "_open", away)
        answers = [client.get("/models"), client.get(f"/models/{iris}"), promote(client, iris), rollback(client)]

    for answer in answers:
        assert_problem(answer, 503, "unavailable")
        assert int(answer.headers["Retry-After"]) >= 1
    assert promote(client, iris).status_code == 200


def test_a_promotion_leaves_a_line_in_the_log(
    client: Client, registry: Registry, models: dict[str, Content], caplog: pytest.LogCaptureFixture
) -> None:
    iris = registry.register(models["iris"], "me@here").version
    promote(client, iris)

    (fields,) = [vars(record)["fields"] for record in caplog.records if record.msg == "promoted"]
    assert fields == {"version": iris, "before": models["titanic"].version, "by": by(ADMIN)}


def register(client: Client, folder: Path) -> str:
    """Stores a model in the database of a client that has no signing key of its own."""
    registry = client.application.extensions["swap"]._registry
    return str(registry.register(read_content(folder), "me@here").version)


def another(client: Client) -> Client:
    """A client for another thread."""
    other = client.application.test_client()
    other.environ_base["HTTP_X_API_KEY"] = ADMIN
    return other
