"""An array that is processed by columns gets the answer, and leaves the rows, of one that is processed item by item. So
does an observation that is decoded and checked in one step."""

import json
import random
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from service.prediction.arrays.label_array import LabelArrayParser
from service.prediction.arrays.observation_array import ColumnParser
from service.storage.connection import connect
from tests.conftest import Client, MakeClient, empty_postgresql
from tests.support.passengers import all_passengers

HEADERS = {"Content-Type": "application/json", "X-Request-ID": "same"}
STORED = (
    "observation_id, observation, proba, probas, predicted_class, predicted_value, threshold, true_class, "
    "true_value, model_version, labelled_at IS NULL"
)
Rows = list[dict[str, Any]]


def passengers() -> Rows:
    return all_passengers()


def flowers() -> Rows:
    chosen = random.Random(0)
    names = ("sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)")
    return [{name: round(chosen.uniform(0.1, 7.9), 1) for name in names} for _ in range(100)]


def patients() -> Rows:
    chosen = random.Random(0)
    names = ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")
    return [{name: chosen.uniform(-0.1, 0.1) for name in names} for _ in range(100)]


MODELS: dict[str, tuple[Callable[[], Rows], list[Any]]] = {
    "titanic": (passengers, [True, False]),
    "iris": (flowers, ["setosa", "versicolor", "virginica"]),
    "diabetes": (patients, [80.5, 3]),
}


class Pair:
    """A service that may process arrays by columns, and one that never does, each with its own log."""

    def __init__(self, plain: Client, by_items: Client, urls: tuple[str, str], patch: pytest.MonkeyPatch) -> None:
        self._plain, self._by_items, self._urls, self._patch = plain, by_items, urls, patch

    def post(self, path: str, body: bytes) -> Any:
        """The answer to an array, which both give alike."""
        answer = self._plain.post(path, data=body, headers=HEADERS)
        with self._patch.context() as patch:
            patch.setattr(ColumnParser, "parse", lambda self, body: None)
            patch.setattr(ColumnParser, "parse_one", lambda self, body: None)
            patch.setattr(LabelArrayParser, "parse", lambda self, body: None)
            expected = self._by_items.post(path, data=body, headers=HEADERS)
        assert answer.status_code == expected.status_code, body
        assert self._body(answer) == self._body(expected), body
        assert without_length(answer) == without_length(expected), body
        return answer

    def _body(self, answer: Any) -> bytes:
        """The body of an answer. PostgreSQL does not use a row id again whose insert failed, so there the row ids
        differ after an array with a known id."""
        if self._urls[0].startswith("sqlite"):
            return answer.data  # type: ignore[no-any-return]
        return re.sub(rb'"id": [0-9]+, "observation_id"', b'"observation_id"', answer.data)

    def require_equal_logs(self) -> None:
        """Both logs have the same rows and the same corrections, apart from the times."""
        assert rows(self._urls[0]) == rows(self._urls[1])

    def ways(self, path: str) -> dict[str, float]:
        """How many arrays the first service has processed in each way."""
        lines = self._plain.get("/metrics").text.splitlines()
        start = f'prediction_service_arrays_total{{route="{path}",way="'
        return {
            line.removeprefix(start).partition('"')[0]: float(line.rpartition(" ")[2])
            for line in lines
            if line.startswith(start)
        }


def without_length(answer: Any) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name != "Content-Length"}


def rows(url: str) -> list[Any]:
    with closing(connect(url)) as database:
        stored = database.execute_sql(f"SELECT {STORED} FROM prediction ORDER BY id").fetchall()
        corrections = database.execute_sql(
            "SELECT p.observation_id, replaced_class, replaced_value FROM label_correction c "
            "JOIN prediction p ON p.id = c.prediction_id ORDER BY c.id"
        ).fetchall()
        return [[str(row) for row in stored], [str(row) for row in corrections]]


@pytest.fixture(params=["sqlite", "postgresql"])
def urls(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """Two empty databases of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/a.db", f"sqlite:///{tmp_path}/b.db"
    server = request.getfixturevalue("postgresql_server")
    return empty_postgresql(server), empty_postgresql(server)


@pytest.fixture
def make_pair(
    make_client: MakeClient, artifacts: dict[str, Path], urls: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Pair]:
    def make(model: str, **settings: Any) -> Pair:
        given = {"artifacts": str(artifacts[model]), **settings}
        first, second = (make_client(database_url=url, **given) for url in urls)
        return Pair(first, second, urls, monkeypatch)

    return make


def encoded(items: Any) -> bytes:
    return json.dumps(items).encode()


def array(observations: Rows, ids: Any) -> bytes:
    return encoded([{"id": id_, "observation": row} for id_, row in zip(ids, observations, strict=False)])


@pytest.mark.parametrize("scorer", ["compiled", "pipeline"])
@pytest.mark.parametrize("model", MODELS)
def test_plain_arrays_are_processed_by_columns(make_pair: Callable[..., Pair], model: str, scorer: str) -> None:
    pair = make_pair(model, scorer=scorer)
    observations, labels = MODELS[model]
    name = "true_value" if model == "diabetes" else "true_class"

    assert pair.post("/predict", array(observations(), range(90))).status_code == 200
    assert pair.post("/predict", array(observations(), [f"é {i}" for i in range(7)])).status_code == 200
    marked = [{"id": i, name: labels[i % len(labels)]} for i in range(90)]
    assert pair.post("/update", encoded(marked)).status_code == 200
    assert pair.post("/update", encoded(list(reversed(marked))[:10])).status_code == 200

    pair.require_equal_logs()
    assert pair.ways("/predict") == {"columns": 2}
    assert pair.ways("/update") == {"columns": 2}


@pytest.mark.parametrize("model", MODELS)
def test_replays_conflicts_and_faults_are_answered_as_item_by_item(make_pair: Callable[..., Pair], model: str) -> None:
    pair = make_pair(model)
    rows = MODELS[model][0]()

    first = pair.post("/predict", array(rows, range(20)))
    again = pair.post("/predict", array(rows, range(20)))
    part = pair.post("/predict", array(rows, range(30)))
    conflict = pair.post("/predict", array(rows[1:], range(25, 45)))
    twice = pair.post("/predict", array([rows[0], rows[0]], ["same", "same"]))
    fault = pair.post("/predict", encoded([{"id": 100, "observation": rows[0]}, {"id": None, "observation": {}}]))
    unknown = pair.post("/update", encoded([{"id": 5, "true_class": 1}, {"id": 999, "true_value": 1}]))

    assert (first.status_code, again.status_code, part.status_code, twice.status_code) == (200, 200, 200, 200)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (conflict.status_code, fault.status_code, unknown.status_code) == (409, 422, 422)
    pair.require_equal_logs()
    assert pair.ways("/predict") == {"columns": 1, "items": 5}


def test_values_that_the_model_refuses_are_named(make_pair: Callable[..., Pair]) -> None:
    pair = make_pair("titanic")
    row = passengers()[0]

    answer = pair.post("/predict", array([row, {**row, "Sex": "unknown"}, {**row, "Fare": -1e14}], range(3)))

    assert answer.status_code in (200, 422)
    pair.require_equal_logs()


@pytest.mark.long
@pytest.mark.parametrize("model", MODELS)
def test_changed_bodies_get_the_answers_of_the_other_way(make_pair: Callable[..., Pair], model: str) -> None:
    pair = make_pair(model)
    observations, labels = MODELS[model]
    name = "true_value" if model == "diabetes" else "true_class"
    chosen = random.Random(1)
    rows = observations()
    statuses = set()

    for bodies in range(400):
        ids = [_id(chosen) for _ in range(chosen.randrange(1, 9))]
        if bodies % 3:
            items = [{"id": id_, "observation": dict(chosen.choice(rows))} for id_ in ids]
        else:
            items = [{"id": id_, name: chosen.choice([*labels, *labels, *labels, None, "x"])} for id_ in ids]
        path = "/predict" if bodies % 3 else "/update"
        body = _changed(chosen, items)
        if len(items) == 1:
            body = body.strip().removeprefix(b"[").removesuffix(b"]")
        statuses.add(pair.post(path, body).status_code)

    pair.require_equal_logs()
    assert {200, 400, 409, 422} <= statuses
    assert pair.ways("/predict")["columns"] > 10
    assert pair.ways("/update")["columns"] > 3


def _id(chosen: random.Random) -> Any:
    return chosen.choice([chosen.randrange(400), chosen.randrange(10**6), f"a:{chosen.randrange(50)}", 'é"\\\x7f', 3.0])


def _changed(chosen: random.Random, items: list[dict[str, Any]]) -> bytes:
    """The items as JSON, changed in one of many ways or not at all."""
    one = chosen.choice(items)
    values = one.get("observation", one)
    name = chosen.choice(list(values))
    match chosen.randrange(16):
        case 0:
            values[name] = chosen.choice([None, True, "x", 3, 3.5, 1e300, 1e-7, -0.0, [], {}, "\ud800", "\0"])
        case 1:
            del values[name]
        case 2:
            values["other"] = 1
        case 3:
            text = json.dumps(items, separators=(",", ":"), ensure_ascii=False)
            return text.replace(json.dumps(name) + ":", json.dumps(name) + ":0," + json.dumps(name) + ":", 1).encode()
        case 4:
            body = bytearray(encoded(items))
            body[chosen.randrange(len(body))] = chosen.randrange(256)
            return bytes(body)
        case 5:
            return b"\xef\xbb\xbf" + encoded(items)
        case 6:
            return encoded(items)[: -chosen.randrange(1, 5)]
        case 7:
            return b" \n" + json.dumps(items, indent=1, ensure_ascii=False).encode() + b"\r\n"
    return encoded(items)
