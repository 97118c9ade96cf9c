"""The deployed service answers any JSON with 200 or a problem: quickly, in bounded memory, never with a 5xx."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.service.web.test_payload import values
from tests.support.passengers import PASSENGER, prediction
from tests.support.served import Served, serve
from tests.support.wire import POST, Answered, answer, connected, exchange, send, with_length

MB = 1_000_000
# A refusal takes 1 to 3 ms, and about 50 ms for a nested body of 10 MB; the machine may be busy.
QUICK_SECONDS = 0.5

many = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

anything = st.one_of(
    values,
    st.sampled_from([2**63, -(2**63) - 1, 10**400, 1e308, -0.0, 5e-324, "", "\0", "\ud800", "\udfff\ud800", "\ufeff"]),
    st.text(alphabet=st.characters(), max_size=50),
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder: Path = tmp_path_factory.mktemp("input")
    with serve(folder, f"sqlite:///{folder}/log.db") as served:
        yield served
    assert "event=error" not in served.log.read_text()


def post(served: Served, path: str, body: Any) -> requests.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    return served.session.post(served.url + path, data=content, headers=headers, timeout=20)


def assert_answered(response: requests.Response) -> None:
    """The response is a 200, or a problem with a message."""
    if response.status_code != 200:
        assert response.status_code in (400, 404, 409, 413, 422)
        assert response.headers["Content-Type"] == "application/problem+json"
        assert response.json()["status"] == response.status_code
        assert response.json()["error"]
    response.content.decode("ascii")


@many
@given(anything, st.sampled_from(["/predict", "/update"]))
def test_any_value_may_be_the_body(served: Served, value: Any, path: str) -> None:
    assert_answered(post(served, path, value))


@many
@given(anything)
def test_any_value_may_be_the_id(served: Served, value: Any) -> None:
    assert_answered(post(served, "/predict", prediction(value)))
    assert_answered(post(served, "/update", {"id": value, "true_class": 1}))


@many
@given(anything)
def test_any_value_may_be_the_observation(served: Served, value: Any) -> None:
    response = post(served, "/predict", {"id": 1, "observation": value})

    assert_answered(response)
    assert response.status_code == 422


@many
@given(st.sampled_from(sorted(PASSENGER)), anything)
def test_any_value_may_be_the_value_of_a_column(served: Served, column: str, value: Any) -> None:
    response = post(served, "/predict", prediction(json.dumps([column, value])[:200], **{column: value}))

    assert_answered(response)
    if response.status_code == 422:
        assert {fault["pointer"] for fault in response.json()["errors"]} == {f"/observation/{column}"}
        assert column in response.json()["error"]


@many
@given(anything)
def test_any_value_may_be_the_true_class(served: Served, value: Any) -> None:
    served.post("/predict", prediction("labelled"))

    response = post(served, "/update", {"id": "labelled", "true_class": value})

    assert_answered(response)
    assert (response.status_code == 200) == (isinstance(value, bool | int | float) and value in (0, 1))


@many
@given(st.binary(max_size=200))
def test_any_bytes_may_be_the_body(served: Served, body: bytes) -> None:
    assert_answered(post(served, "/predict", body))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"id": 1, "observation": {}, "id": 1}', 400),
        (json.dumps(prediction(1)).replace('"Age": 22.0', '"Age": 22.0, "Age": 23.0').encode(), 400),
        (json.dumps(prediction("nul", Cabin="C\0")).encode(), 422),
        (json.dumps(prediction("surrogate", Cabin="\ud800")).encode(), 422),
        (json.dumps(prediction("surrogate", **{"\ud800": 1})).encode(), 422),
        (json.dumps(prediction(2**64)).encode(), 422),
        (json.dumps(prediction(1, Parch=10**30)).encode(), 422),
        (json.dumps(prediction(1, Fare=0)).replace('"Fare": 0', '"Fare": 1e400').encode(), 422),
        (json.dumps(prediction(1, Fare=0)).replace('"Fare": 0', '"Fare": NaN').encode(), 400),
        (json.dumps(prediction(1, Fare=0)).replace('"Fare": 0', '"Fare": ' + "9" * 5000).encode(), 400),
        (b"\xef\xbb\xbf" + json.dumps(prediction(1)).encode(), 400),
        (json.dumps(prediction(1)).encode("utf-16"), 400),
        (json.dumps(prediction(1)).encode("utf-32"), 400),
        (json.dumps(prediction("é"), ensure_ascii=False).encode("latin-1"), 400),
        (b"[" * 17 + b"]" * 17, 400),
        (b"[" * 16 + b"]" * 16, 422),
        (b"null", 422),
        (b"[]", 200),
    ],
    ids=range(18),
)
def test_bodies_that_are_nearly_right_are_answered_by_their_fault(served: Served, body: bytes, status: int) -> None:
    response = post(served, "/predict", body)

    assert_answered(response)
    assert response.status_code == status


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[" * (10 * MB), 400),
        (b'{"a":' * (MB // 5), 400),
        (b'{"a":' * (2 * MB), 413),
        (b'[[],{"]":' * MB, 400),
        (b'{"id": "' + b"x" * (10 * MB) + b'"}', 413),
        (json.dumps([1] * (3 * MB)).encode(), 413),
        (json.dumps(prediction(1, Cabin="x" * 1001)).encode(), 422),
        (json.dumps(prediction("x" * 500_000)).encode(), 422),
        (json.dumps(prediction(1, Age=["x"] * 100_000)).encode(), 422),
        (('{"id": 1, "observation": {' + ",".join(f'"{i}": 1' for i in range(60_000)) + "}}").encode(), 422),
        (("{" + ",".join(f'"{i}": 1' for i in range(60_000)) + ',"7": 1}').encode(), 400),
    ],
    ids=[
        "deep",
        "deep objects",
        "long objects",
        "branches",
        "object",
        "array",
        "text",
        "id",
        "list",
        "columns",
        "twice",
    ],
)
def test_a_large_body_is_refused_quickly(served: Served, body: bytes, status: int) -> None:
    began = time.perf_counter()
    response = post(served, "/predict", body)
    seconds = time.perf_counter() - began

    assert_answered(response)
    assert response.status_code == status
    assert len(response.content) < 2 * MB
    assert seconds < 2


def test_the_length_of_a_text_is_limited_by_its_column(served: Served) -> None:
    longest = post(served, "/predict", prediction("longest", Cabin="x" * 1000))

    assert longest.status_code == 200


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (with_length(b"", 17 * MB), 413),
        (with_length(b"", 10**18), 413),
        (with_length(b"{"), 400),
        (with_length(b"[" * 1000), 400),
        (with_length(json.dumps(prediction(1, Age="x")).encode()), 422),
        (with_length(json.dumps(prediction(1, Cabin="x" * 1001)).encode()), 422),
        (with_length(b"{}").replace(b"application/json", b"text/plain"), 415),
        (with_length(b"{}").replace(b"/predict", b"/nothing"), 404),
        (with_length(b"{}").replace(b"POST", b"PUT"), 405),
        (b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET /livez HTTP/1.1\r\nX: " + b"x" * 9000 + b"\r\n\r\n", 431),
    ],
    ids=["length", "any length", "json", "deep", "value", "text", "type", "url", "method", "long url", "header"],
)
def test_a_refusal_is_quick(served: Served, request_: bytes, status: int) -> None:
    answers = [exchange(served, request_) for _ in range(5)]

    assert {answered.status for answered in answers} == {status}
    assert min(answered.seconds for answered in answers) < QUICK_SECONDS


def test_a_body_with_too_large_a_length_is_refused_before_it_arrives_and_not_buffered(served: Served) -> None:
    before = most_memory(served)

    with connected(served) as connection:
        connection.sendall(POST + f"Content-Length: {200 * MB}\r\n\r\n".encode())
        answered = answer(connection)
        send(connection, [b"x" * MB] * 200)

    assert answered.status == 413
    assert answered.seconds < QUICK_SECONDS
    assert most_memory(served) - before < 30 * MB


def test_chunks_are_not_buffered_past_the_limit_of_a_body(served: Served) -> None:
    before = most_memory(served)
    chunk = b"%X\r\n%b\r\n" % (MB, b" " * MB)

    with connected(served) as connection:
        send(connection, [POST + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 100, b"0\r\n\r\n"])
        answered: Answered = answer(connection)

    assert answered.status == 413
    assert most_memory(served) - before < 120 * MB


def most_memory(served: Served) -> int:
    """The memory of the largest worker in bytes."""
    return max(psutil.Process(worker.pid).memory_info().rss for worker in served.workers())
