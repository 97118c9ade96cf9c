"""Which bodies are refused for their items or for the memory they need, and that nothing stays held."""

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from service.storage.predictions import PredictionLog
from service.web.access_log import AccessLogMiddleware, RequestInfo, Serving
from service.web.body_budget import BodyBudget
from tests.conftest import Client, MakeClient
from tests.support.passengers import prediction

MIB = 1024 * 1024
FULL = {"max_array_bytes": MIB, "max_bytes_in_flight": 2 * MIB, "request_timeout": 0.05}


def budget_of(client: Client) -> BodyBudget:
    budget: BodyBudget = client.application.extensions["budget"]
    return budget


@pytest.fixture
def client(make_client: MakeClient) -> Iterator[Client]:
    client = make_client(**FULL, max_items=100)
    yield client
    budget = budget_of(client)
    assert budget.unparsed.free == budget.parsed.free == MIB


def post(client: Client, body: bytes, **options: Any) -> Any:
    with client.post("/predict", data=body, content_type="application/json", **options) as response:
        response.get_data()
        return response


@pytest.mark.parametrize("size", [1, 20_000])
def test_items_are_counted_before_they_are_decoded(client: Client, size: int) -> None:
    item = json.dumps({"id": ',[\\"{' + "x" * (size // 100)}).encode()
    many = b"[" + b",".join([item] * 101) + b"]"

    response = post(client, many)

    assert response.status_code == 413
    assert response.json["detail"] == "The array has 101 items; send at most 100 at once."
    assert post(client, many[:-1] + b"}").status_code == 413  # it is not JSON, but nothing decoded it
    assert post(client, b"[" + b",".join([item] * 100) + b"]").status_code == 422


def test_a_body_that_needs_more_than_the_budget_is_413_and_names_the_setting(client: Client) -> None:
    response = post(client, json.dumps([{"id": 1, "observation": {"a": [[]] * 10_000}}]).encode())

    assert response.status_code == 413
    assert "MAX_BYTES_IN_FLIGHT" in response.json["detail"]


@pytest.mark.parametrize(("character", "bytes_of_memory"), [("x", 1), ("я", 2), ("😀", 4)])
def test_the_memory_of_a_text_depends_on_its_characters(client: Client, character: str, bytes_of_memory: int) -> None:
    """Python keeps a text in 1, 2 or 4 bytes a character (PEP 393). A text is held as it came and twice as a value."""
    most = MIB / (1 + 2 * bytes_of_memory)

    def statuses(share: float) -> int:
        text = character * int(share * most / len(character.encode()))
        body = json.dumps([{"id": 1, "observation": {"a": text}}], ensure_ascii=False).encode()
        return int(post(client, body).status_code)

    assert (statuses(0.95), statuses(1.05)) == (422, 413)


@pytest.mark.parametrize("part", ["unparsed", "parsed"])
def test_a_body_without_room_is_503_and_the_next_one_is_answered(client: Client, part: str) -> None:
    budget = getattr(budget_of(client), part)
    body = json.dumps([prediction(i) for i in range(80)]).encode()
    assert budget.take(MIB - 1000)

    response = post(client, body)

    assert response.status_code == 503
    assert response.headers["Retry-After"] == "1"
    assert post(client, json.dumps(prediction("small")).encode()).status_code == 200
    budget.give(MIB - 1000)
    assert post(client, body).status_code == 200


def test_a_chunked_body_needs_room_too(client: Client) -> None:
    body = json.dumps([prediction(i) for i in range(80)]).encode()
    options = {"environ_overrides": {"wsgi.input_terminated": True, "CONTENT_LENGTH": ""}}
    assert budget_of(client).unparsed.take(MIB - 1000)

    assert post(client, body, **options).status_code == 503

    budget_of(client).unparsed.give(MIB - 1000)
    assert post(client, body, **options).status_code == 200


def test_a_chunked_array_that_is_too_long_is_413(make_client: MakeClient) -> None:
    client = make_client(max_body_bytes=1000, max_array_bytes=5000)
    body = json.dumps([prediction(i) for i in range(40)]).encode()
    options = {"environ_overrides": {"wsgi.input_terminated": True, "CONTENT_LENGTH": ""}}

    response = post(client, body, **options)

    assert (response.status_code, response.json["detail"]) == (413, "The body is over the limit of 5000 bytes.")


@pytest.mark.parametrize("first", [0, 0.0], ids=["by columns", "by items"])
def test_a_long_body_is_not_held_once_it_is_decoded(
    client: Client, monkeypatch: pytest.MonkeyPatch, first: float
) -> None:
    free: list[int] = []
    commit = PredictionLog.commit

    def watched(log: PredictionLog, *groups: Any) -> Any:
        free.append(budget_of(client).unparsed.free)
        return commit(log, *groups)

    monkeypatch.setattr(PredictionLog, "commit", watched)
    body = json.dumps([prediction(first + i) for i in range(80)]).encode()

    assert post(client, body).status_code == 200
    assert free == [MIB]


def test_an_answer_is_held_until_it_is_sent(client: Client) -> None:
    body = json.dumps([prediction(i) for i in range(80)]).encode()

    with client.post("/predict", data=body, content_type="application/json", buffered=False) as response:
        assert MIB - budget_of(client).parsed.free == response.content_length


def test_a_small_chunked_body_needs_no_room(client: Client) -> None:
    body = json.dumps(prediction(1)).encode()
    options = {"environ_overrides": {"wsgi.input_terminated": True, "CONTENT_LENGTH": ""}}
    assert budget_of(client).unparsed.take(MIB)

    assert post(client, body, **options).status_code == 200

    budget_of(client).unparsed.give(MIB)


def test_a_request_that_fails_gives_back_what_it_holds() -> None:
    budget = BodyBudget(200, 1)

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        RequestInfo.of(environ).held().hold_body(50)
        raise ZeroDivisionError

    serving = Serving(SimpleNamespace(version="v", application=application))
    served = AccessLogMiddleware(serving, lambda *_: None, lambda _: None, budget)
    with pytest.raises(ZeroDivisionError):
        served({"PATH_INFO": "/", "REQUEST_METHOD": "POST"}, None)

    assert budget.unparsed.free == 100


def test_without_room_a_long_answer_lists_fewer_faults(client: Client) -> None:
    body = json.dumps({"id": 1, "observation": {f"c{i}": i for i in range(300)}}).encode()
    budget = budget_of(client).parsed
    assert len(post(client, body).json["errors"]) == 304

    assert budget.take(MIB - 1000)
    response = post(client, body)
    budget.give(MIB - 1000)

    assert response.status_code == 422
    assert len(response.json["errors"]) == 20
