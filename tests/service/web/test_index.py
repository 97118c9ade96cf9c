"""GET / names the service and its model and leads to the rest; it needs no key and shows nothing that needs one."""

import json
import re
from pathlib import Path

import pytest

import service
from tests.conftest import Client, MakeClient
from tests.support.passengers import PROJECT

KEY = "a-key-of-sixteen-characters"


@pytest.fixture
def client(make_client: MakeClient) -> Client:
    return make_client()


@pytest.mark.parametrize(("name", "task"), [("titanic", "binary"), ("iris", "multiclass"), ("diabetes", "regression")])
def test_it_names_the_service_and_the_model(
    make_client: MakeClient, artifacts: dict[str, Path], name: str, task: str
) -> None:
    client = make_client(artifacts=str(artifacts[name]))

    response = client.get("/")

    assert response.status_code == 200
    assert response.content_type == "application/json"
    body = response.json
    assert (body["name"], body["version"]) == ("prediction-service", service.__version__)
    assert body["model"] == {"name": name, "version": client.get("/model").json["version"], "task": task}


def test_the_name_is_that_of_the_project(client: Client) -> None:
    assert f'name = "{client.get("/").json["name"]}"' in (PROJECT / "pyproject.toml").read_text()


def test_every_link_is_the_path_of_its_operation_and_leads_somewhere(client: Client) -> None:
    links = client.get("/").json["links"]
    operations = {
        operation["operationId"]: path
        for path, methods in client.get("/openapi.json").json["paths"].items()
        for operation in methods.values()
    }

    assert {"openapi", "model", "predict", "update", "performance", "drift", "metrics", "readyz"} == set(links)
    assert links == {name: operations[name] for name in links}
    statuses = {name: client.get(path).status_code for name, path in links.items()}
    assert {name for name, status in statuses.items() if status == 405} == {"predict", "update"}
    assert set(statuses.values()) == {200, 405}


@pytest.mark.parametrize("headers", [{}, {"X-API-Key": "unknown-to-the-service"}, {"X-API-Key": KEY}])
def test_it_needs_no_key_and_no_key_changes_it(make_client: MakeClient, headers: dict[str, str]) -> None:
    response = make_client(api_key=(KEY,)).get("/", headers=headers)

    assert response.status_code == 200
    assert response.json == make_client().get("/").json


def test_head_answers_as_get_without_a_body(client: Client) -> None:
    got, head = client.get("/"), client.head("/")

    assert head.status_code == 200
    assert head.data == b""
    assert head.headers["Content-Length"] == str(len(got.data))


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("api_key", [(), (KEY,)])
def test_it_can_only_be_read(make_client: MakeClient, method: str, api_key: tuple[str, ...]) -> None:
    response = make_client(api_key=api_key).open("/", method=method)

    assert response.status_code == 405
    assert response.content_type == "application/problem+json"
    assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD"}


def test_an_unknown_url_leads_to_it(client: Client) -> None:
    response = client.get("/nothing")

    assert response.status_code == 404
    assert response.content_type == "application/problem+json"
    assert "GET /" in response.json["detail"]


def test_the_documentation_shows_it(client: Client) -> None:
    (block,) = re.findall("```json\n(.+?)```", (PROJECT / "docs" / "api.md").read_text(), re.DOTALL)

    shown, answered = json.loads(block), client.get("/").json

    assert (shown["name"], shown["links"]) == (answered["name"], answered["links"])
    assert (list(shown), list(shown["model"])) == (list(answered), list(answered["model"]))
