"""The client against servers that misbehave: it repeats what is safe and useful to repeat, and reports the rest."""

import json
import pickle
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.client import (
    Client,
    ClientError,
    Conflict,
    Fault,
    InvalidAddress,
    NoAnswer,
    NotFound,
    NotJson,
    Prediction,
    Refused,
)
from tests.support.passengers import PROJECT
from tests.support.served import free_port
from tests.support.stand_in import Canned, stand_in

_SELF_SIGNED = Path(__file__).with_name("self_signed.pem")  # a certificate for localhost with its key, only for tests

ANSWER = {"id": 1, "observation_id": "a", "predicted_class": True, "proba": 0.75, "true_class": None}
GOOD = Canned(body=ANSWER)
UNAVAILABLE = Canned(503, {"title": "Service unavailable"})
KINDS = "urn:prediction-service:problem:"

ONLY_URLLIB3 = """
import sys

class Refusing:
    def find_spec(self, name, path=None, target=None):
        root = name.partition(".")[0]
        if root not in sys.stdlib_module_names and root not in ("service", "urllib3"):
            raise ModuleNotFoundError(f"{name} is not allowed here", name=name)

sys.meta_path.insert(0, Refusing())
from service.client import Client

Client("https://localhost").close()
print(sorted(name for name in sys.modules if name.startswith("service")))
"""


def each_answered(body: Any) -> Canned:
    """The answers to an array of any items, or to one."""
    return Canned(body=[_answered(item) for item in body] if isinstance(body, list) else _answered(body))


def _answered(item: dict[str, Any]) -> dict[str, Any]:
    return {"id": 1, "observation_id": item["id"], "predicted_class": True, "proba": 0.5, "true_class": None}


def problem(status: int, kind: str, *faults: dict[str, Any]) -> Canned:
    detail = "; ".join(fault["detail"] for fault in faults)
    body = {"type": KINDS + kind, "title": "A title", "status": status, "detail": detail, "errors": list(faults)}
    return Canned(status, body, {"Content-Type": "application/problem+json"})


def test_it_imports_nothing_but_the_standard_library_and_urllib3() -> None:
    ran = subprocess.run([sys.executable, "-c", ONLY_URLLIB3], cwd=PROJECT, capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stderr
    loaded = set(ran.stdout.strip("[]\n").replace("'", "").split(", "))
    assert {name for name in loaded if not name.startswith("service.client")} == {"service"}


def test_an_answer_is_typed() -> None:
    with stand_in(GOOD) as server, Client(server.url, "the-key") as client:
        found = client.predict("a", {"x": 1.5})

    assert found == Prediction(1, "a", predicted_class=True, proba=0.75, replayed=False)
    ((method, path, body, headers),) = server.requests
    assert (method, path, body) == ("POST", "/predict", {"id": "a", "observation": {"x": 1.5}})
    assert headers["Authorization"] == "Bearer the-key"


def test_the_answer_of_every_task_is_typed() -> None:
    multiclass = {**ANSWER, "probas": {"x": 0.75, "y": 0.25}}
    regression = {"id": 2, "observation_id": "a", "predicted_value": 3.5, "true_value": 4.0, "observation": {"x": 1}}
    with stand_in(Canned(body=multiclass), Canned(body=regression)) as server, Client(server.url) as client:
        predicted, updated = client.predict("a", {"x": 1}), client.update("a", true_value=4.0)

    assert predicted.probas == {"x": 0.75, "y": 0.25}
    assert updated == Prediction(2, "a", predicted_value=3.5, true_value=4.0, observation={"x": 1})
    assert server.bodies[1] == {"id": "a", "true_value": 4.0}


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
def test_a_request_is_repeated_while_the_service_is_unavailable(status: int) -> None:
    with stand_in(Canned(status, b"no JSON"), GOOD) as server, Client(server.url) as client:
        assert client.predict("a", {}).proba == 0.75

    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "answer",
    [
        Canned(body=ANSWER, sends="nothing"),
        Canned(body=ANSWER, sends="half"),
        Canned(body=b"", headers={"Content-Length": "5"}, sends="half"),
        Canned(body=b"not gzip", headers={"Content-Encoding": "gzip"}),
        Canned(is_late=True),
    ],
    ids=["closed", "cut", "empty", "undecodable", "late"],
)
def test_a_request_without_a_complete_answer_is_repeated(answer: Canned) -> None:
    with stand_in(answer, GOOD) as server, Client(server.url, timeout=0.2) as client:
        assert client.predict("a", {}).proba == 0.75

    assert server.bodies == [{"id": "a", "observation": {}}] * 2


def test_retry_after_is_waited_for() -> None:
    waiting = Canned(503, {}, {"Retry-After": "1"})
    with stand_in(waiting, GOOD) as server, Client(server.url) as client:
        began = time.monotonic()
        client.predict("a", {})

    assert 1 <= time.monotonic() - began < 4


def test_retry_after_beyond_the_patience_ends_the_call_at_once() -> None:
    waiting, began = Canned(503, {}, {"Retry-After": "3600"}), time.monotonic()
    with (
        stand_in(waiting) as server,
        Client(server.url) as client,
        pytest.raises(NoAnswer, match="503 with Retry-After: 3600"),
    ):
        client.predict("a", {})

    assert len(server.requests) == 1
    assert time.monotonic() - began < 30


def test_a_service_that_stays_unavailable_is_reported_after_the_patience() -> None:
    began = time.monotonic()
    with stand_in(UNAVAILABLE) as server, Client(server.url, patience=0.5) as client, pytest.raises(NoAnswer) as raised:
        client.predict("a", {})

    assert "did not answer within 0.5 seconds: the last answer was 503" in str(raised.value)
    assert raised.value.may_be_stored
    assert len(server.requests) > 1
    assert time.monotonic() - began < 5


def test_a_service_that_hangs_is_reported_after_the_patience() -> None:
    began = time.monotonic()
    with (
        stand_in(Canned(is_late=True)) as server,
        Client(server.url, timeout=0.1, patience=0.5) as client,
        pytest.raises(NoAnswer, match="timed out") as raised,
    ):
        client.predict("a", {})

    assert raised.value.may_be_stored
    assert len(server.requests) > 1
    assert time.monotonic() - began < 5


def test_a_request_that_reached_nobody_is_not_stored() -> None:
    with (
        Client(f"http://127.0.0.1:{free_port()}", patience=0.2) as client,
        pytest.raises(NoAnswer, match="Connection refused") as raised,
    ):
        client.predict("a", {})

    assert not raised.value.may_be_stored


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 415, 422, 500])
def test_a_refusal_is_reported_at_once(status: int) -> None:
    with stand_in(problem(status, "any")) as server, Client(server.url) as client, pytest.raises(Refused) as raised:
        client.predict("a", {})

    assert type(raised.value) is Refused
    assert (raised.value.status, raised.value.title) == (status, "A title")
    assert len(server.requests) == 1


def test_a_refusal_names_its_faults() -> None:
    fault = {"pointer": "/observation/Age", "detail": "Age: expected a number", "value": "x", "expected": "a number"}
    with (
        stand_in(problem(422, "invalid-body", fault)) as server,
        Client(server.url) as client,
        pytest.raises(Refused) as raised,
    ):
        client.predict("a", {"Age": "x"})

    (found,) = raised.value.faults
    assert (found.pointer, found.detail, found.value, found.expected) == tuple(fault.values())
    assert str(raised.value) == "422 A title: Age: expected a number"


@pytest.mark.parametrize(
    ("status", "kind", "expected"),
    [(409, "observation-conflict", Conflict), (404, "unknown-observation", NotFound), (404, "not-found", Refused)],
)
def test_a_conflict_and_an_unknown_id_are_errors_of_their_own(
    status: int, kind: str, expected: type[Exception]
) -> None:
    with stand_in(problem(status, kind)) as server, Client(server.url) as client, pytest.raises(Refused) as raised:
        client.update("a", True)

    assert type(raised.value) is expected


@pytest.mark.parametrize("body", [b"<html>", b'{"errors": 3, "type": [], "title": null}', b"[" * 100_000, b"\xff", b""])
def test_a_refusal_without_a_problem_has_the_title_of_its_status(body: bytes) -> None:
    with stand_in(Canned(418, body)) as server, Client(server.url) as client, pytest.raises(Refused) as raised:
        client.predict("a", {})

    assert (str(raised.value), raised.value.faults) == ("418 I'm a Teapot", ())


def test_a_redirect_is_reported_and_not_followed() -> None:
    moved = Canned(301, b"", {"Location": "https://example.com/"})
    with (
        stand_in(moved) as server,
        Client(server.url, "the-key") as client,
        pytest.raises(Refused, match=r"301 Moved Permanently: it redirects to https://example\.com/; give that URL"),
    ):
        client.predict("a", {})

    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "body",
    [b"<html>", b"", b"null", b"3", b"[]", b"{}", b"[3]", b'{"id": 1, "observation_id": "another"}', b"[" * 100_000],
)
@pytest.mark.parametrize(
    "call", [lambda client: client.predict("a", {}), lambda client: list(client.predict_many([("a", {})]))]
)
def test_an_answer_of_another_service_is_reported(body: bytes, call: Callable[[Client], Any]) -> None:
    with stand_in(Canned(200, body)) as server, Client(server.url) as client, pytest.raises(NoAnswer, match="/predict"):
        call(client)

    assert len(server.requests) == 1


def test_many_items_are_sent_in_chunks_and_answered_in_order() -> None:
    with stand_in(each_answered) as server, Client(server.url) as client:
        found = list(client.predict_many(((i, {"x": i}) for i in range(25)), chunk=10))
        assert len(list(client.predict_many([("a", {}), ("b", {})], chunk=1))) == 2

    assert [answer.observation_id for answer in found] == list(range(25))
    assert [len(body) for body in server.bodies] == [10, 10, 5, 1, 1]
    assert server.bodies[2][4] == {"id": 24, "observation": {"x": 24}}


def test_a_chunk_that_is_too_large_is_halved() -> None:
    def answer(body: Any) -> Canned:
        return each_answered(body) if len(json.dumps(body)) < 500 else problem(413, "body-too-large")

    with stand_in(answer) as server, Client(server.url) as client:
        found = list(client.predict_many((i, {"x": "x" * 50}) for i in range(40)))

    assert [answer.observation_id for answer in found] == list(range(40))
    assert [len(body) for body in server.bodies][:5] == [40, 20, 10, 5, 5]


def test_a_fault_of_many_items_has_its_position_in_the_whole_input() -> None:
    faults = [
        {"pointer": "/3/observation/Age", "detail": "item 3: Age: expected a number", "value": 1, "expected": "x"},
        {"pointer": "/7/id", "detail": "Observation ID: 17 is known", "value": 17, "expected": "x"},
    ]
    with stand_in(each_answered, problem(409, "observation-conflict", *faults)) as server, Client(server.url) as client:
        found = client.predict_many(((i, {}) for i in range(20)), chunk=10)
        before = [next(found) for _ in range(10)]
        with pytest.raises(Conflict) as raised:
            next(found)

    error = raised.value
    assert (len(before), error.stored) == (10, 10)
    assert [fault.pointer for fault in error.faults] == ["/13/observation/Age", "/17/id"]
    assert error.detail == "item 13: Age: expected a number; Observation ID: 17 is known"


def test_true_classes_and_true_values_are_sent_in_chunks() -> None:
    with stand_in(each_answered) as server, Client(server.url) as client:
        classes = client.update_many([("a", True), ("b", False)])
        values = client.update_many(true_values=((i, i / 2) for i in range(5)), chunk=3)

    assert (classes, values) == (2, 5)
    assert server.bodies[0] == [{"id": "a", "true_class": True}, {"id": "b", "true_class": False}]
    assert [len(body) for body in server.bodies[1:]] == [3, 2]
    assert server.bodies[2][1] == {"id": 4, "true_value": 2.0}


def test_arguments_that_make_no_request_are_refused() -> None:
    with stand_in(GOOD) as server, Client(server.url) as client:
        for call in (lambda: client.update("a"), lambda: client.update("a", 1, true_value=1.0), client.update_many):
            with pytest.raises(TypeError, match="Give the true class, or"):
                call()
        with pytest.raises(ValueError, match="chunk"):
            client.predict_many([], chunk=0)
        with pytest.raises(NotJson, match="/3/observation/Age is inf"):
            list(client.predict_many(((i, {"Age": float("inf") if i == 3 else 1.0}) for i in range(5)), chunk=5))

    assert server.requests == []


def test_what_is_known_of_a_replay_is_told() -> None:
    replayed = {"Idempotent-Replayed": "true"}

    def stored(body: Any) -> Canned:
        return Canned(body=each_answered(body).body, headers=replayed)

    pairs: list[tuple[str, dict[str, Any]]] = [("a", {}), ("b", {})]
    with stand_in(stored, stored, each_answered, each_answered, stored) as server, Client(server.url) as client:
        found = [client.predict("a", {}).replayed]
        found += [answer.replayed for answer in client.predict_many(pairs)]
        found += [answer.replayed for answer in client.predict_many(pairs)]
        found += [answer.replayed for answer in client.predict_many(pairs[:1])]
        found += [client.update("a", True).replayed]

    assert found == [True, True, True, None, None, False, None]


def test_an_id_that_is_sent_in_another_form_is_answered() -> None:
    with stand_in(each_answered) as server, Client(server.url) as client:
        found = [client.predict(id_, {}).observation_id for id_ in (date(2024, 5, 31), np.int64(7), np.str_("a"))]  # type: ignore[arg-type]

    assert found == ["2024-05-31", 7, "a"]


def test_threads_share_a_client() -> None:
    with stand_in(each_answered) as server, Client(server.url) as client, ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda i: client.predict(i, {"x": i}).observation_id, range(200)))

    assert found == list(range(200))


def test_a_page_is_read_below_the_path_of_the_url() -> None:
    with stand_in(Canned(body={"name": "titanic"})) as server, Client(server.url + "/models/") as client:
        reply = client.get("/model")

    assert (reply.body, server.requests[0][:2]) == ({"name": "titanic"}, ("GET", "/models/model"))
    assert reply.date


def test_a_server_without_tls_is_reported() -> None:
    with stand_in(GOOD) as server:
        client = Client(server.url.replace("http:", "https:"), patience=0.2)
        with client, pytest.raises(NoAnswer, match="SSL"):
            client.get("/model")

    assert server.requests == []


def test_an_untrusted_certificate_is_reported_at_once() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_SELF_SIGNED)
    began = time.monotonic()
    with (
        stand_in(GOOD, tls=context) as server,
        Client(server.url) as client,
        pytest.raises(NoAnswer, match="CERTIFICATE_VERIFY_FAILED") as raised,
    ):
        client.get("/model")

    assert not raised.value.may_be_stored
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("path", ["", "model", "http://localhost:9/model"])
def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    with stand_in(GOOD) as server, Client(server.url, "the-key") as client, pytest.raises(ValueError, match="slash"):
        client.get(path)

    assert server.requests == []


@pytest.mark.parametrize("status", [401, 422, 301])
def test_a_refusal_after_an_attempt_without_an_answer_says_that_the_row_may_be_stored(status: int) -> None:
    with stand_in(Canned(sends="nothing"), Canned(status)) as server, Client(server.url) as client:
        with pytest.raises(Refused) as after_a_loss:
            client.predict("a", {})
        with pytest.raises(Refused) as at_once:
            client.predict("a", {})

    assert (after_a_loss.value.may_be_stored, at_once.value.may_be_stored) == (True, False)


def test_an_answer_that_cannot_be_read_may_have_been_stored() -> None:
    lengths = Canned(200, {}, {"Content-Length": "5\r\nContent-Length: 7"})
    with stand_in(lengths) as server, Client(server.url) as client, pytest.raises(NoAnswer) as raised:
        client.predict("a", {})

    assert raised.value.may_be_stored


def test_a_page_that_is_not_json_is_told() -> None:
    told = "/metrics gave an answer that is not JSON"
    with stand_in(Canned(200, b"x 1")) as server, Client(server.url) as client, pytest.raises(NoAnswer, match=told):
        client.get("/metrics")


@pytest.mark.parametrize("more", ["user:secret@127.0.0.1:9", "127.0.0.1:9/?a=b", "127.0.0.1:9/#x"])
def test_a_url_with_parts_that_would_be_ignored_is_refused_without_showing_them(more: str) -> None:
    with pytest.raises(InvalidAddress) as raised:
        Client(f"http://{more}")

    assert "secret" not in str(raised.value)


def test_no_key_may_be_none() -> None:
    with stand_in(Canned(200, {})) as server, Client(server.url, None) as client:
        client.get("/model")

    assert "Authorization" not in server.requests[0][3]


def test_a_closed_client_is_told_at_once() -> None:
    with Client("http://127.0.0.1:9") as client:
        pass

    with pytest.raises(ValueError, match="closed"):
        client.get("/model")


@pytest.mark.parametrize(
    "url",
    [
        *("nonsense", "ftp://localhost", "http://", "http://localhost:99999", "http://localhost:x", "http://[::1"),
        *("http://localhost/a b", "http://localhost/\u00fc", "http://localhost:0"),
    ],
)
def test_an_invalid_url_is_reported_at_once(url: str) -> None:
    with pytest.raises(InvalidAddress, match="is not an http or https URL"):
        Client(url)


def test_a_client_without_time_is_refused() -> None:
    with pytest.raises(ValueError, match="seconds above 0"):
        Client("http://localhost", timeout=0.0)


def test_a_key_that_fits_no_header_is_reported_at_once() -> None:
    with pytest.raises(InvalidAddress, match="API key contains invalid characters"):
        Client("http://localhost", "\u20ac")


@pytest.mark.parametrize(
    "error",
    [
        Conflict(409, "Conflict", "a", [Fault("/0/id", "a", 0, "b")]),
        NoAnswer("late", True),
        NotJson("/0/id", "inf"),
        InvalidAddress("no URL"),
    ],
)
def test_an_error_passes_between_processes(error: ClientError) -> None:
    error.stored = 10

    copy = pickle.loads(pickle.dumps(error))

    assert (type(copy), str(copy), copy.args, copy.stored) == (type(error), str(error), error.args, 10)
