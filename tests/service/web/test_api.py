"""Every error gets the same problem+json structure, and every response is JSON."""

import json
import logging
from typing import Any

import pytest

from service.prediction.service import PredictionService
from tests.conftest import Client, MakeClient
from tests.support.passengers import prediction

PROBLEM_KEYS = {"type", "title", "status", "detail", "instance", "error"}


@pytest.fixture
def client(make_client: MakeClient) -> Client:
    return make_client()


def assert_problem(response: Any, status: int) -> None:
    assert response.status_code == status
    assert response.content_type == "application/problem+json"
    assert set(response.json) - {"errors"} == PROBLEM_KEYS
    assert response.json["status"] == status
    assert response.headers["X-Request-ID"] in response.json["instance"]


@pytest.mark.parametrize("path", ["/index", "/nothing", "/predict/1", "/static/x", "/favicon.ico", "/%00"])
def test_an_unknown_url_is_a_problem(client: Client, path: str) -> None:
    assert_problem(client.get(path), 404)


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/predict", {"POST"}),
        ("PUT", "/update", {"POST"}),
        ("DELETE", "/predict", {"POST"}),
        ("OPTIONS", "/predict", {"POST"}),
        ("PATCH", "/model", {"GET", "HEAD"}),
        ("POST", "/livez", {"GET", "HEAD"}),
        ("TRACE", "/predict", {"POST"}),
    ],
)
def test_a_wrong_method_is_a_problem_with_the_allowed_methods(
    client: Client, method: str, path: str, allow: set[str]
) -> None:
    response = client.open(path, method=method)

    assert_problem(response, 405)
    assert set(response.headers["Allow"].split(", ")) == allow


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json; charset=utf-16"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        {"Content-Type": "application/json", "Content-Encoding": "identity"},
    ],
)
def test_a_body_that_is_not_plain_json_is_a_problem(client: Client, headers: dict[str, str]) -> None:
    assert_problem(client.post("/predict", data=json.dumps(prediction(0)), headers=headers), 415)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{'id': 1}",
        b'{"id": 1, "id": 1}',
        b'{"id": 1, "observation": {"Age": 1, "Age": 2}}',
        b'{"id": NaN}',
        b'{"id": -Infinity}',
        b'\xef\xbb\xbf{"id": 1}',
        '{"id": 1}'.encode("utf-16"),
        b'{"id": "\xff"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"id": ' + b"9" * 5000 + b"}",
        b'{"id": 1} {}',
        b'{"id": 01}',
    ],
)
def test_malformed_json_is_a_problem(client: Client, body: bytes) -> None:
    assert_problem(client.post("/predict", data=body, content_type="application/json"), 400)


def test_the_content_type_may_name_utf_8(client: Client) -> None:
    response = client.post("/predict", data=json.dumps(prediction(0)), content_type="Application/JSON; charset=UTF-8")

    assert response.status_code == 200


def test_a_trailing_slash_is_served(client: Client) -> None:
    assert client.post("/predict/", json=prediction(0)).status_code == 200
    assert client.post("/update/", json={"id": 0, "true_class": 1}).status_code == 200
    for path in ("/model/", "/livez/", "/readyz/", "/healthz/"):
        assert client.get(path).status_code == 200


def test_a_body_over_the_limit_is_a_problem(make_client: MakeClient) -> None:
    client = make_client(max_body_bytes=1000, max_array_bytes=5000)

    assert_problem(client.post("/predict", json=prediction("x" * 1000)), 413)
    assert_problem(client.post("/predict", json=[prediction(i) for i in range(100)]), 413)
    assert client.post("/predict", json=[prediction(i) for i in range(10)]).status_code == 200


@pytest.mark.parametrize("many", [1001, 5000])
def test_at_most_a_thousand_faults_are_listed(client: Client, many: int) -> None:
    others = {f"c{i}": "x" * 100 for i in range(many)}

    for body in (prediction(0, Age="x", **others), prediction(0) | others, [{"id": i} for i in range(many)]):
        response = client.post("/predict", json=body)

        assert_problem(response, 422)
        assert len(response.json["errors"]) == 1000
        assert "; and at least 9" in response.json["detail"]


@pytest.mark.parametrize("path", ["/livez//", "/a//b", "/predict//x"])
def test_repeated_slashes_are_not_redirected(client: Client, path: str) -> None:
    response = client.get("http://localhost" + path)

    assert_problem(response, 404)


def test_the_response_is_json_for_every_accept_header(client: Client) -> None:
    assert client.get("/model", headers={"Accept": "text/html"}).content_type == "application/json"
    assert client.get("/nothing", headers={"Accept": "text/html"}).content_type == "application/problem+json"


def test_an_unexpected_exception_is_hidden_from_the_client_and_logged(
    client: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("secret value")

    monkeypatch.setattr(PredictionService, "predict", fail)
    logging.getLogger().handlers[0].setStream(__import__("sys").stdout)  # type: ignore[attr-defined]

    response = client.post("/predict", json=prediction(0))

    assert_problem(response, 500)
    logged = capsys.readouterr().out
    assert "secret" not in response.text + logged
    assert "event=error exception=RuntimeError" in logged
    assert response.headers["X-Request-ID"] in logged


def test_the_health_checks_answer_up_and_ready(client: Client) -> None:
    assert client.get("/livez").json == {"status": "up"}
    assert client.get("/readyz").json == {"status": "ready"}
    assert client.get("/healthz").json == {"status": "ready"}


def test_readiness_fails_while_the_database_refuses_writes(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(database: object) -> None:
        raise __import__("peewee").OperationalError("database is locked")

    monkeypatch.setattr("service.storage.session.require_writable", locked)

    response = client.get("/readyz")

    assert_problem(response, 503)
    assert int(response.headers["Retry-After"]) > 0
    assert client.get("/livez").status_code == 200


def test_the_model_card_describes_the_served_model(client: Client) -> None:
    card = client.get("/model").json

    assert (card["name"], card["task"], card["classes"], card["threshold"]) == ("titanic", "binary", [False, True], 0.5)
    assert [column["name"] for column in card["signature"]["columns"]][:2] == ["Pclass", "Sex"]
    assert card["metrics"]["metrics"]["roc_auc"]["mean"] > 0.8
    assert card["metrics"]["method"] == "5-fold cross-validation"
    assert card["importances"]["columns"]["Sex"]["mean"] > 0.1
    assert "scikit-learn" in card["libraries"]


def test_no_more_than_256_routes_are_cached(client: Client) -> None:
    app = client.application.extensions["serving"].model.flask
    app._cache.clear()
    app._cache.update({("/unknown", str(number)): None for number in range(255)})

    assert (client.get("/livez").status_code, client.get("/model").status_code) == (200, 200)

    assert len(app._cache) == 256
