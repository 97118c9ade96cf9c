"""If API_KEY is set, every protected URL needs a key. The administration is closed unless ADMIN_KEY is set."""

from typing import Any

import pytest
from flask import Flask

from service.errors import ServiceError
from service.settings import Settings
from service.web.auth import ApiKeyMiddleware
from tests.conftest import Client, MakeClient
from tests.support.passengers import prediction

KEY, OTHER, ADMIN = "a-key-of-a-client", "another-client-key", "the-key-of-an-admin"
UNKNOWN = "a-key-nobody-knows"
CLOSED = ["/admin/reset", "/admin/", "/admin", "/predictions", "/predictions/", "/predictions/1"]


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture
def client(make_client: MakeClient) -> Client:
    return make_client(api_key=(KEY, OTHER), admin_key=(ADMIN,))


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {KEY}"},
        {"Authorization": f"bearer  {KEY}"},
        {"X-API-Key": KEY},
        {"X-API-Key": OTHER},
        {"X-API-Key": KEY, "Authorization": "Basic dTpw"},
        {"X-API-Key": UNKNOWN, "Authorization": f"Bearer {KEY}"},
        {"X-API-Key": ADMIN},
        {"Authorization": f"Bearer {ADMIN}"},
    ],
)
def test_any_api_or_admin_key_is_accepted_in_either_header(client: Client, headers: dict[str, str]) -> None:
    assert client.post("/predict", json=prediction(0), headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": KEY},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": f"Token {KEY}"},
        {"X-API-Key": ""},
        {"X-API-Key": KEY[:-1]},
        {"X-API-Key": KEY + "x"},
        {"X-API-Key": KEY.upper()},
        {"X-API-Key": f"{KEY},{OTHER}"},
        {"X-API-Key": "\xe9" * 20},
        {"Cookie": f"X-API-Key={KEY}"},
    ],
)
def test_a_request_without_a_known_key_is_refused(client: Client, headers: dict[str, str]) -> None:
    response = client.post("/predict", json=prediction(0), headers=headers)

    assert response.status_code == 401
    assert response.content_type == "application/problem+json"
    assert response.headers["WWW-Authenticate"].startswith("Bearer ")
    assert response.json["type"].endswith(":unauthorized")


@pytest.mark.parametrize("name", ["key", "api_key", "X-API-Key", "access_token", "Authorization"])
def test_a_key_in_the_url_is_ignored(client: Client, name: str) -> None:
    assert client.get("/model", query_string={name: KEY}).status_code == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/nothing"),
        ("GET", "/model"),
        ("GET", "/livez/x"),
        ("GET", "/LIVEZ"),
        ("PUT", "/predict"),
        ("OPTIONS", "/predict"),
        ("HEAD", "/model"),
        ("POST", "/predict"),
        ("POST", "/update/"),
        ("POST", "/%61dmin/reset"),
    ],
)
def test_the_key_is_checked_before_anything_else(client: Client, method: str, path: str) -> None:
    assert client.open(path, method=method, data=b"{", content_type="text/plain").status_code == 401


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz", "/livez/", "/readyz/", "/healthz/"])
def test_health_checks_need_no_key(client: Client, path: str) -> None:
    assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/", "/openapi.json"])
def test_the_index_and_the_openapi_document_need_no_key(client: Client, path: str) -> None:
    assert client.get(path).status_code == 200


def test_a_route_that_is_added_later_is_protected(client: Client) -> None:
    client.application.extensions["serving"].model.flask.add_url_rule("/later", view_func=lambda: {"secret": 1})

    assert client.get("/later").status_code == 401
    assert client.get("/later", headers=bearer(KEY)).json == {"secret": 1}


def test_without_api_keys_the_api_is_open_and_the_start_logs_a_warning(
    make_client: MakeClient, capsys: pytest.CaptureFixture[str]
) -> None:
    client = make_client()

    assert client.post("/predict", json=prediction(0)).status_code == 200
    assert client.get("/nothing").status_code == 404
    assert "level=warning event=auth-disabled" in capsys.readouterr().out


def test_with_an_api_key_the_start_does_not_warn(make_client: MakeClient, capsys: pytest.CaptureFixture[str]) -> None:
    make_client(api_key=(KEY,))

    assert "auth-disabled" not in capsys.readouterr().out


@pytest.mark.parametrize("path", CLOSED)
@pytest.mark.parametrize("api_key", [(), (KEY,)])
@pytest.mark.parametrize("headers", [{}, bearer(KEY), bearer(UNKNOWN)])
def test_the_administration_is_closed_without_an_admin_key(
    make_client: MakeClient, path: str, api_key: tuple[str, ...], headers: dict[str, str]
) -> None:
    response = make_client(api_key=api_key).post(path, headers=headers)

    assert response.status_code == 403
    assert "set ADMIN_KEY" in response.json["detail"]


@pytest.mark.parametrize("path", CLOSED)
@pytest.mark.parametrize("api_key", [(), (KEY,)])
def test_only_the_admin_key_opens_the_administration(
    make_client: MakeClient, path: str, api_key: tuple[str, ...]
) -> None:
    client = make_client(api_key=api_key, admin_key=(ADMIN,))
    statuses = {key: client.post(path, headers=bearer(key)).status_code for key in (KEY, UNKNOWN, ADMIN)}

    assert client.post(path).status_code == 401
    assert statuses[UNKNOWN] == 401
    assert statuses[KEY] == (403 if api_key else 401)
    assert statuses[ADMIN] not in (401, 403)


def test_similar_paths_do_not_belong_to_the_administration(make_client: MakeClient) -> None:
    client = make_client()

    assert {client.get(path).status_code for path in ("/administer", "/predictionsx", "/x/admin")} == {404}


@pytest.mark.parametrize(
    ("path", "api_key", "status"),
    [
        *((path, (), 403) for path in ("admin/reset", "//admin/reset", "///admin/reset")),
        *((path, (KEY,), 401) for path in ("//", "//livez", "model", "//model")),
    ],
)
def test_a_path_that_the_router_normalizes_is_closed_too(path: str, api_key: tuple[str, ...], status: int) -> None:
    """Flask's test client cannot send a path with no or two leading slashes, but other clients can."""
    app = Flask("router")
    app.add_url_rule("/admin/reset", view_func=lambda: "opened", methods=["POST"])
    refused: list[ServiceError] = []

    def refuse(error: ServiceError, environ: dict[str, Any]) -> Any:
        refused.append(error)
        return lambda environ, start: start("refused", []) or [b""]

    middleware = ApiKeyMiddleware(app.wsgi_app, api_key, (), refuse)
    environ = {**app.test_request_context("/", method="POST").request.environ, "PATH_INFO": path}
    statuses: list[str] = []
    list(middleware(environ, lambda status, headers, exc_info=None: statuses.append(status)))

    assert statuses == ["refused"]
    assert [error.status for error in refused] == [status]


def test_responses_forbid_caching_and_content_sniffing(client: Client) -> None:
    answers = [
        client.post("/predict", json=prediction(0), headers=bearer(KEY)),
        client.post("/update", json={"id": 0, "true_class": 1}, headers=bearer(KEY)),
        client.post("/predict", json=prediction(0, Age=1), headers=bearer(KEY)),
        client.post("/predict", json=prediction(0)),
    ]

    assert [answer.status_code for answer in answers] == [200, 200, 409, 401]
    assert {answer.headers["Cache-Control"] for answer in answers} == {"no-store"}
    assert {answer.headers["X-Content-Type-Options"] for answer in answers} == {"nosniff"}


def test_every_key_in_the_setting_is_accepted(make_client: MakeClient) -> None:
    settings = Settings.from_env({"API_KEY": f"{KEY},{OTHER}"})
    client = make_client(api_key=settings.api_key)

    assert [client.get("/model", headers=bearer(key)).status_code for key in (KEY, OTHER)] == [200, 200]
