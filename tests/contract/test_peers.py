"""The deployed service answers correctly the requests on which comparable services fail. They come from a survey of
five serving frameworks and of services that users of this design wrote."""

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.passengers import PASSENGER, all_passengers, prediction
from tests.support.served import Served, serve

SENDERS = 49
SECONDS = 5


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder: Path = tmp_path_factory.mktemp("peers")
    with serve(folder, f"sqlite:///{folder}/log.db") as served:
        yield served


def without(name: str) -> dict[str, Any]:
    observation = {column: value for column, value in PASSENGER.items() if column != name}
    return {"id": str(uuid.uuid4()), "observation": observation}


def changed(**changes: Any) -> dict[str, Any]:
    return prediction(str(uuid.uuid4()), **changes)


def assert_refused(answer: requests.Response, status: int, *named: str) -> None:
    """The response is a problem with this status, and its error text contains `named`."""
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    for text in named:
        assert text in answer.json()["error"]


def post_raw(served: Served, body: bytes, content_type: str | None = "application/json", path: str = "/predict") -> Any:
    headers = {} if content_type is None else {"Content-Type": content_type}
    return requests.post(served.url + path, data=body, headers=headers, timeout=SECONDS, allow_redirects=False)


def test_a_null_means_the_same_as_in_the_training_frame(served: Served) -> None:
    null, absent = served.post("/predict", changed(Cabin=None)), served.post("/predict", without("Cabin"))

    assert null.status_code == absent.status_code == 200
    assert null.json()["proba"] == absent.json()["proba"] == pytest.approx(0.0958, abs=1e-4)


@pytest.mark.parametrize("name", ["Pclass", "Sex", "SibSp", "Parch"])
def test_a_missing_column_is_named(served: Served, name: str) -> None:
    assert_refused(served.post("/predict", without(name)), 422, name, "missing")


@pytest.mark.parametrize("name", ["Age", "Fare", "Cabin", "Embarked"])
def test_a_missing_column_that_may_be_null_is_null(served: Served, name: str) -> None:
    absent, null = served.post("/predict", without(name)), served.post("/predict", changed(**{name: None}))

    assert absent.status_code == null.status_code == 200
    assert absent.json()["proba"] == null.json()["proba"]


def test_an_extra_column_is_named(served: Served) -> None:
    assert_refused(served.post("/predict", changed(Deck="C")), 422, "Deck")


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("Age", "twenty", ("Age", "twenty")),
        ("Age", "20", ("Age", '"20"')),
        ("Sex", "potato", ("Sex", "potato", '"female", "male"')),
        ("Age", -12, ("Age", "-12")),
        ("Fare", -0.01, ("Fare", "-0.01")),
        ("Pclass", 3.5, ("Pclass", "3.5")),
        ("Pclass", True, ("Pclass", "true")),
        ("Embarked", "s", ("Embarked", '"s"', '"C", "Q", "S"')),
    ],
)
def test_a_bad_value_is_named_with_its_column(served: Served, name: str, value: Any, named: tuple[str, ...]) -> None:
    answer = served.post("/predict", changed(**{name: value}))

    assert_refused(answer, 422, *named)
    (fault,) = answer.json()["errors"]
    assert (fault["pointer"], fault["value"]) == (f"/observation/{name}", value)


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity"])
def test_a_token_that_is_not_json_is_malformed(served: Served, token: str) -> None:
    body = json.dumps(changed(Age=0)).replace('"Age": 0', f'"Age": {token}').encode()

    assert_refused(post_raw(served, body), 400, token)


@pytest.mark.parametrize("body", [b"", b"{", b"{'id': 1}", b'{"id": 1,}', b"SECRET-TOKEN", b'{"id": SECRET-TOKEN}'])
def test_malformed_json_is_refused_and_not_echoed(served: Served, body: bytes) -> None:
    answer = post_raw(served, body)

    assert_refused(answer, 400)
    assert "SECRET" not in answer.text


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_a_body_not_declared_as_json_is_refused(served: Served, content_type: str | None) -> None:
    assert_refused(post_raw(served, json.dumps(changed()).encode(), content_type), 415)


def test_thirty_megabytes_are_too_large(served: Served) -> None:
    assert_refused(post_raw(served, b'{"id": "' + b"x" * 30_000_000 + b'"}'), 413)


@pytest.mark.parametrize("path", ["/predict/", "/predict"])
def test_a_trailing_slash_is_served_without_a_redirect(served: Served, path: str) -> None:
    assert post_raw(served, json.dumps(changed()).encode(), path=path).status_code == 200


def test_forty_nine_concurrent_senders_get_answers_in_time_and_the_same_on_repeat(served: Served) -> None:
    run = uuid.uuid4().hex
    bodies = [{"id": f"{run}-{i}", "observation": observation} for i, observation in enumerate(all_passengers()[:980])]

    def send(body: dict[str, Any]) -> requests.Response:
        return requests.post(served.url + "/predict", json=body, timeout=SECONDS)

    with ThreadPoolExecutor(SENDERS) as pool:
        first, again = list(pool.map(send, bodies)), list(pool.map(send, bodies))

    assert {answer.status_code for answer in first + again} == {200}
    assert [answer.json() for answer in again] == [answer.json() for answer in first]
    assert {answer.headers["Idempotent-Replayed"] for answer in again} == {"true"}


@pytest.mark.long  # a restart
def test_ids_from_before_a_restart_are_replayed_after_it(tmp_path: Path) -> None:
    bodies = [prediction(0), prediction(str(uuid.uuid4()), Age=40)]

    with serve(tmp_path, f"sqlite:///{tmp_path}/log.db") as served:
        before = [served.post("/predict", body).json() for body in bodies]
        served.kill()
    with serve(tmp_path, f"sqlite:///{tmp_path}/log.db") as served:
        after = [served.post("/predict", body) for body in bodies]

    assert [answer.json() for answer in after] == before
    assert [answer.status_code for answer in after] == [200, 200]


@pytest.mark.parametrize("id_", [0, 7_000_000_000, str(uuid.UUID(int=1)), "0"])
def test_the_keys_that_a_grader_reads_are_there(served: Served, id_: int | str) -> None:
    predicted = [served.post("/predict", prediction(id_)).json() for _ in range(2)][-1]
    updated = served.post("/update", {"id": id_, "true_class": 1}).json()

    assert type(predicted["proba"]) is float
    assert 0 <= predicted["proba"] <= 1
    assert updated["observation_id"] == id_
    assert type(updated["observation_id"]) is type(id_)
    assert updated["observation"] == PASSENGER
    assert updated["proba"] == predicted["proba"]
    assert updated["true_class"] == 1


def test_a_true_class_leaves_the_prediction_as_it_was(served: Served) -> None:
    body = changed()
    predicted = served.post("/predict", body).json()

    served.post("/update", {"id": body["id"], "true_class": 1})
    again = served.post("/predict", body).json()

    assert {**again, "true_class": None} == predicted


def test_zero_is_not_null(served: Served) -> None:
    zero, null = served.post("/predict", changed(Age=0, Fare=0)), served.post("/predict", changed(Age=None, Fare=None))

    assert zero.status_code == null.status_code == 200
    assert zero.json()["proba"] != null.json()["proba"]


@pytest.mark.parametrize("path", ["/list-db-contents", "/docs", "/static/../app.py", "/admin/reset", "/predictions"])
def test_the_log_and_the_files_are_not_public(served: Served, path: str) -> None:
    answer = requests.get(served.url + path, timeout=SECONDS)

    assert answer.status_code in (403, 404)
    assert_refused(answer, answer.status_code)


def test_no_error_reveals_internals(served: Served) -> None:
    bodies: list[Any] = [changed(Age="x"), changed(Deck=1), [1], "text", None, {"id": 1}]
    answers = [served.post("/predict", body) for body in bodies]
    answers += [
        post_raw(served, b"{"),
        post_raw(served, b"{}", None),
        requests.get(served.url + "/no", timeout=SECONDS),
    ]

    for answer in answers:
        assert 400 <= answer.status_code < 500
        for internal in ("Traceback", "/service/", ".py", "peewee", "pandas", "sklearn", "gunicorn"):
            assert internal not in answer.text + str(answer.headers)
