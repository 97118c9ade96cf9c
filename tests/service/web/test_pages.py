"""GET /predictions: every row once, newest first, in pages or as a stream, also during writes."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from peewee import ModelDelete

from service.storage.connection import connect
from service.storage.tables import Prediction
from tests.conftest import Client, MakeClient
from tests.support.filled import fill, insert
from tests.support.passengers import PASSENGER, prediction

ADMIN = {"X-API-Key": "the-key-of-an-admin"}
NDJSON = {**ADMIN, "Accept": "application/x-ndjson"}


@pytest.fixture
def client(make_client: MakeClient, database_url: str) -> Client:
    return make_client(database_url=database_url, admin_key=(ADMIN["X-API-Key"],))


def page(client: Client, query: str = "") -> Any:
    """The body of a page."""
    response = client.get("/predictions" + query, headers=ADMIN)
    assert response.status_code == 200, response.text
    return response.json


def ids(client: Client, query: str = "") -> list[Any]:
    return [row["observation_id"] for row in page(client, query)["predictions"]]


def streamed(client: Client, query: str = "") -> list[dict[str, Any]]:
    response = client.get("/predictions" + query, headers=NDJSON)
    assert response.status_code == 200, response.text
    assert response.content_type == "application/x-ndjson"
    return [json.loads(line) for line in response.data.split(b"\n")[:-1]]


def walk(client: Client, query: str) -> Iterator[dict[str, Any]]:
    """The rows of all pages, reached through `next`."""
    following = "/predictions" + query
    while following:
        body = client.get(following, headers=ADMIN).json
        yield from body["predictions"]
        following = body["next"]


def test_a_row_has_the_response_of_update_and_its_origin(client: Client) -> None:
    predicted = client.post("/predict", json=prediction("é\u2028\n")).json
    updated = client.post("/update", json={"id": "é\u2028\n", "true_class": 1}).json
    version = client.get("/model").json["version"]

    body = page(client)

    (row,) = body["predictions"]
    assert list(row)[: len(updated)] == list(updated)
    assert {key: row[key] for key in updated} == updated == {**predicted, "true_class": True, "observation": PASSENGER}
    assert (row["model_version"], row["threshold"]) == (version, 0.5)
    for name in ("created_at", "labelled_at"):
        moment = datetime.fromisoformat(row[name])
        assert moment.tzinfo == UTC
        assert abs((datetime.now(UTC) - moment).total_seconds()) < 60
    assert body["next"] is None


@pytest.mark.parametrize("name", ["iris", "diabetes"])
def test_rows_of_other_tasks_have_their_own_members(
    make_client: MakeClient, artifacts: dict[str, Path], database_url: str, name: str
) -> None:
    client = make_client(database_url=database_url, admin_key=(ADMIN["X-API-Key"],), artifacts=str(artifacts[name]))
    client.post("/admin/seed", json={"rows": 1}, headers=ADMIN)
    predicted = client.get("/predictions", headers=ADMIN).json["predictions"][0]
    true = "true_value" if name == "diabetes" else "true_class"

    updated = client.post("/update", json={"id": "demo-0", true: predicted[true]}).json

    assert {key: predicted[key] for key in updated} == updated
    assert set(predicted) - set(updated) == {"model_version", "threshold", "created_at", "labelled_at"}
    assert ("probas" in predicted) is (name == "iris")


def test_probabilities_are_read_exactly(client: Client, database_url: str) -> None:
    fill(database_url, 3000)
    with connect(database_url) as database:
        stored = {row.id: row.proba for row in Prediction.select().execute(database)}

    assert {row["id"]: row["proba"] for row in streamed(client)} == stored


def test_an_empty_log_has_no_rows(client: Client) -> None:
    assert page(client) == {"predictions": [], "next": None}
    assert streamed(client) == []


def test_a_page_has_a_hundred_rows_by_default(client: Client, database_url: str) -> None:
    fill(database_url, 101)

    assert ids(client) == list(range(100, 0, -1))
    assert ids(client, "?limit=2") == [100, 99]
    assert len(ids(client, "?limit=1000")) == 101


def test_a_page_links_to_the_next_with_the_same_filters(client: Client, database_url: str) -> None:
    fill(database_url, 25)

    response = client.get("/predictions?limit=5&predicted_class=true&since=2026-01-01T00:00:00%2B02:00", headers=ADMIN)
    following = response.json["next"]

    assert response.headers["Link"] == f'<{following}>; rel="next"'
    assert response.headers["Cache-Control"] == "no-store"
    assert [row["observation_id"] for row in response.json["predictions"]] == [24, 22, 20, 18, 16]
    second = client.get(following, headers=ADMIN)
    assert [row["observation_id"] for row in second.json["predictions"]] == [14, 12, 10, 8, 6]
    third = client.get(second.json["next"], headers=ADMIN)
    assert [row["observation_id"] for row in third.json["predictions"]] == [4, 2, 0]
    assert third.json["next"] is None
    assert "Link" not in third.headers


@pytest.mark.parametrize("limit", [1, 7, 20, 21])
def test_every_row_is_on_exactly_one_page(client: Client, database_url: str, limit: int) -> None:
    fill(database_url, 21)

    assert [row["observation_id"] for row in walk(client, f"?limit={limit}")] == list(range(20, -1, -1))


def test_pages_do_not_change_while_rows_are_inserted(client: Client, database_url: str) -> None:
    fill(database_url, 20)
    seen = []

    for i, row in enumerate(walk(client, "?limit=3")):
        seen.append(row["observation_id"])
        client.post("/predict", json=prediction(f"later-{i}"))

    assert seen == list(range(19, -1, -1))


def test_rare_rows_are_found(client: Client, database_url: str) -> None:
    fill(database_url, 10_000)
    client.post("/update", json=[{"id": 3, "true_class": 1}, {"id": 5000, "true_class": 0}])

    assert ids(client, "?labelled=true&limit=1") == [5000]
    assert [row["observation_id"] for row in walk(client, "?labelled=true&limit=1")] == [5000, 3]
    assert [row["observation_id"] for row in streamed(client, "?labelled=true")] == [5000, 3]


@pytest.fixture
def varied(client: Client, database_url: str) -> Client:
    """A log of four rows that differ in every filtered column."""
    with connect(database_url) as database:
        noon = datetime(2026, 1, 31, 12, tzinfo=UTC)
        insert(database, "0", created_at=noon, model_version="old")
        insert(database, '"0"', created_at=noon.replace(hour=13), predicted_class="false", model_version="new")
        insert(database, '"é?&="', created_at=noon.replace(hour=14), true_class="true", labelled_at=noon)
        insert(database, str(-(2**63)), created_at=noon.replace(hour=15), model_version="new")
    return client


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("observation_id=0", [0]),
        ('observation_id="0"', ["0"]),
        ("observation_id=%220%22", ["0"]),
        ("observation_id=0.0", [0]),
        ("observation_id=" + quote('"é?&="'), ["é?&="]),
        ("observation_id=" + quote('"\\u00e9?&="'), ["é?&="]),
        ("observation_id=" + quote("é?&="), ["é?&="]),
        ("observation_id=00", []),
        (f"observation_id={-(2**63)}", [-(2**63)]),
        (f"observation_id={-(2.0**63)}", []),
        ("observation_id=1", []),
        ("labelled=true", ["é?&="]),
        ("labelled=false", [-(2**63), "0", 0]),
        ("model_version=new", [-(2**63), "0"]),
        ("model_version=none", []),
        ("predicted_class=false", ["0"]),
        ("predicted_class=0", ["0"]),
        ("predicted_class=true&model_version=new", [-(2**63)]),
        ("since=2026-01-31T14:00:00Z", [-(2**63), "é?&="]),
        ("since=2026-01-31T15:00:00%2B01:00", [-(2**63), "é?&="]),
        ("until=2026-01-31T14:00:00Z", ["0", 0]),
        ("since=2026-01-31T13:00&until=2026-01-31T15:00", ["é?&=", "0"]),
        ("since=2026-02-01", []),
        ("until=9999-12-31T23:59:59.999999-23:59", [-(2**63), "é?&=", "0", 0]),
        ("observation_id=0&labelled=true", []),
    ],
)
def test_a_filter_selects_the_expected_rows(varied: Client, query: str, expected: list[Any]) -> None:
    assert ids(varied, "?" + query) == expected
    assert [row["observation_id"] for row in streamed(varied, "?" + query)] == expected


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("limit=0", ["limit"]),
        ("limit=1001", ["limit"]),
        ("limit=ten&after=-1", ["limit", "after"]),
        ("after=9223372036854775808", ["after"]),
        ("after=x&after=y", ["after"]),
        ("observation_id=", ["observation_id"]),
        ("observation_id=" + "x" * 256, ["observation_id"]),
        ("observation_id=a%00b", ["observation_id"]),
        ("labelled=yes", ["labelled"]),
        ("predicted_class=maybe", ["predicted_class"]),
        ('predicted_class="true"', ["predicted_class"]),
        ("since=yesterday&until=2026-02-30", ["since", "until"]),
        ("page=2", ["page"]),
        ("page=2&limit=x&observation_id=%00&labelled=1&predicted_class=x&since=x&until=x",
         ["page", "limit", "observation_id", "labelled", "predicted_class", "since", "until"]),
    ],
)  # fmt: skip
def test_every_bad_parameter_is_reported(make_client: MakeClient, query: str, named: list[str]) -> None:
    client = make_client(admin_key=(ADMIN["X-API-Key"],))

    response = client.get("/predictions?" + query, headers=ADMIN)

    assert response.status_code == 422
    assert response.content_type == "application/problem+json"
    assert [fault["pointer"] for fault in response.json["errors"]] == [f"/{name}" for name in named]
    assert all(name in response.json["error"] for name in named)


def test_a_text_that_is_not_a_json_id_is_itself_the_id(client: Client) -> None:
    texts = ["abc", "true", "null", "007", "1.5", "-", "[1]", '""', '"', "9223372036854775808", "%41", "a+b", " "]
    client.post("/predict", json=[prediction(text) for text in [*texts, "x" * 255]])

    for text in [*texts, "x" * 255]:
        assert ids(client, "?observation_id=" + quote(text)) == [text]
        assert ids(client, "?observation_id=" + quote(json.dumps(text))) == [text]


@pytest.mark.parametrize("name", ["titanic", "iris"])
def test_a_class_is_accepted_as_text_and_as_json(
    make_client: MakeClient, artifacts: dict[str, Path], name: str
) -> None:
    client = make_client(admin_key=(ADMIN["X-API-Key"],), artifacts=str(artifacts[name]))
    client.post("/admin/seed", json={"rows": 150}, headers=ADMIN)
    rows = page(client, "?limit=1000")["predictions"]
    parameters = client.get("/openapi.json").json["paths"]["/predictions"]["get"]["parameters"]
    texts = next(one for one in parameters if one.get("name") == "predicted_class")["schema"]["enum"]

    found = {text: ids(client, f"?limit=1000&predicted_class={quote(text)}") for text in texts}

    for label in {row["predicted_class"] for row in rows}:
        of_label = [row["observation_id"] for row in rows if row["predicted_class"] == label]
        assert found[json.dumps(label)] == of_label
        assert found[label if isinstance(label, str) else str(int(label))] == of_label


def test_a_stream_refuses_limit_and_a_regression_refuses_predicted_class(
    client: Client, make_client: MakeClient, artifacts: dict[str, Path], tmp_path: Path
) -> None:
    other = f"sqlite:///{tmp_path}/regression.db"
    regression = make_client(artifacts=str(artifacts["diabetes"]), admin_key=(ADMIN["X-API-Key"],), database_url=other)

    assert client.get("/predictions?limit=5", headers=NDJSON).status_code == 422
    assert client.get("/predictions?labelled=no", headers=NDJSON).status_code == 422
    assert regression.get("/predictions?predicted_class=1", headers=ADMIN).status_code == 422


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("application/x-ndjson", "application/x-ndjson"),
        ("application/x-ndjson, application/json;q=0.5", "application/x-ndjson"),
        ("application/x-ndjson, application/json", "application/x-ndjson"),
        ("text/html, Application/X-NDJSON; charset=utf-8, */*;q=0.8", "application/x-ndjson"),
        ("application/json", "application/json"),
        ("application/json, application/x-ndjson;q=0.9", "application/json"),
        ("application/x-ndjson;q=0", "application/json"),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("text/csv", "application/json"),
    ],
)
def test_the_accept_header_selects_page_or_stream(make_client: MakeClient, accept: str, content_type: str) -> None:
    client = make_client(admin_key=(ADMIN["X-API-Key"],))

    assert client.get("/predictions", headers={**ADMIN, "Accept": accept}).content_type == content_type


def test_a_stream_has_all_rows_or_those_after_a_key(client: Client, database_url: str) -> None:
    fill(database_url, 5000)

    rows = streamed(client)

    assert [row["observation_id"] for row in rows] == list(range(4999, -1, -1))
    assert streamed(client, f"?after={rows[4000]['id']}") == rows[4001:]


def test_a_stream_omits_rows_committed_after_its_start(client: Client, database_url: str) -> None:
    fill(database_url, 3000)
    response = client.get("/predictions", headers=NDJSON, buffered=False)
    parts = iter(response.response)

    first = next(parts)
    client.post("/predict", json=prediction("later"))
    rest = b"".join(parts)

    assert (first + rest).count(b"\n") == 3000
    assert b"later" not in first + rest


def test_a_stream_omits_rows_begun_before_its_start_and_committed_after(
    make_client: MakeClient, postgresql_url: str
) -> None:
    client = make_client(database_url=postgresql_url, admin_key=(ADMIN["X-API-Key"],))
    fill(postgresql_url, 2000)
    with connect(postgresql_url) as database, database.atomic():
        early = insert(database, '"early"')
        with connect(postgresql_url) as other:
            assert insert(other, '"between"') > early
        response = client.get("/predictions", headers=NDJSON, buffered=False)
        parts = iter(response.response)
        first = next(parts)
    client.post("/update", json={"id": "early", "true_class": 1})
    again = streamed(client)

    rows = first + b"".join(parts)
    assert b"early" not in rows
    assert rows.count(b"\n") == 2001
    assert len(again) == 2002


def test_a_stream_omits_new_rows_after_all_rows_were_erased(client: Client, database_url: str) -> None:
    fill(database_url, 3000)
    response = client.get("/predictions", headers=NDJSON, buffered=False)
    parts = iter(response.response)
    first = next(parts)

    with connect(database_url) as database:
        ModelDelete(Prediction).execute(database)
    client.post("/predict", json=[prediction(f"later-{i}") for i in range(50)])

    assert b"later" not in first + b"".join(parts)


def test_only_an_administrator_reads_or_erases_the_log(client: Client, make_client: MakeClient) -> None:
    assert client.get("/predictions").status_code == 401
    assert client.delete("/predictions?observation_id=0").status_code == 401
    assert client.post("/predictions", headers=ADMIN).status_code == 405
