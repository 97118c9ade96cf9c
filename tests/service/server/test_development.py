"""gunicorn and `python app.py` reveal no server software, no internals and no keys."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.passengers import prediction
from tests.support.served import Served, serve

KEY, ADMIN = "a-key-of-a-client", "the-key-of-an-admin"
DEBUGGING = {"FLASK_DEBUG": "1", "FLASK_ENV": "development", "WERKZEUG_DEBUG_PIN": "off", "LOG_LEVEL": "debug"}
COMMANDS = [("gunicorn", "app:app"), ("python", "app.py")]

AS_SERVED = pytest.mark.parametrize("command", COMMANDS, ids="-".join)


def raw(served: Served, sent: bytes) -> bytes:
    """The response to these bytes."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
        connection.sendall(sent)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def request(target: str, *headers: str, method: str = "POST") -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: x", "Content-Length: 0", "Connection: close", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


@pytest.fixture(scope="module", params=COMMANDS, ids="-".join)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service of each kind, which the tests share: they store nothing."""
    folder, keys = tmp_path_factory.mktemp("development"), {"API_KEY": KEY, **DEBUGGING}
    with serve(folder, f"sqlite:///{folder}/log.db", request.param, variables=keys) as served:
        yield served


def test_no_response_names_the_server_software_or_shows_a_debugger(served: Served) -> None:
    key = f"X-API-Key: {KEY}"
    answers = {
        "livez": raw(served, request("/livez", method="GET")),
        "a failure": raw(served, request("/predict", key, "Content-Type: application/json")),
        "unknown": raw(served, request("/nothing", key, method="GET")),
        "no key": raw(served, request("/nothing", method="GET")),
        "console": raw(served, request("/console", key, method="GET")),
        "resource": raw(served, request("/?__debugger__=yes&cmd=resource&f=debugger.js", key, method="GET")),
        "no http": raw(served, b"NONSENSE\r\n\r\n"),
        "too long": raw(served, request("/" + "x" * 5_000)),
        "no version": raw(served, b"GET / HTTP/9.9\r\n\r\n"),
        "bad header": raw(served, request("/", "Bad Header")),
    }

    for what, answer in answers.items():
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 "), what
        assert b"\r\nserver:" not in head.lower(), what
        assert b"python" not in answer.lower(), what
        assert b"gunicorn" not in answer.lower(), what
        assert b"werkzeug" not in answer.lower(), what
        assert b"traceback" not in answer.lower(), what
        assert b"<html" not in body.lower(), what
        assert b"application/" in head, what
        assert b"X-Content-Type-Options: nosniff" in head, what


def test_no_spelling_of_a_url_bypasses_the_key_check(served: Served) -> None:
    targets = ["//admin/reset", "///admin/reset", "admin/reset", "/%2Fadmin/reset", "/%61dmin/reset", "http://x/admin/"]
    statuses = [raw(served, request(target, f"X-API-Key: {KEY}"))[:12] for target in targets]
    open_to_all = [
        raw(served, request(target, method="GET"))[:12] for target in ("/livez/../model", "/livez/%2e%2e/model")
    ]

    assert set(statuses) <= {b"HTTP/1.1 403", b"HTTP/1.1 400"}
    assert b"HTTP/1.1 403" in statuses
    assert set(open_to_all) == {b"HTTP/1.1 401"}


@pytest.mark.long
@AS_SERVED
def test_no_key_is_in_the_log(tmp_path: Path, command: tuple[str, str]) -> None:
    keys = {"API_KEY": KEY, "ADMIN_KEY": ADMIN, "LOG_LEVEL": "debug"}
    with serve(tmp_path, f"sqlite:///{tmp_path}/log.db", command, variables=keys) as served:
        answers = [
            served.post("/predict", prediction(0), headers={"X-API-Key": KEY}),
            served.post("/predict", prediction(1), headers={"Authorization": f"Bearer {KEY}-wrong"}),
            served.post(f"/predict?api_key={KEY}", prediction(2)),
            served.post("/admin/nothing", {}, headers={"X-API-Key": KEY}),
            served.post("/admin/nothing", {}, headers={"X-API-Key": ADMIN}),
        ]
        raw(served, request("/predict", f"X-API-Key: {KEY}", f"Bad Header {ADMIN}"))

    assert [answer.status_code for answer in answers] == [200, 401, 401, 403, 404]
    said = served.log.read_text() + "".join(answer.text + str(answer.headers) for answer in answers)
    assert KEY not in said
    assert ADMIN not in said
    assert "reason=unauthorized" in said
