"""A reset loses nothing: rows are exported before they are removed, also with concurrent writers."""

import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from service.export import reset_dump
from service.prediction.true_label import TrueLabel
from service.storage.bulk.label_files import LabelFileLog, Position
from service.storage.connection import connect
from service.storage.deletion import name_of
from service.storage.session import Session
from service.storage.tables import LabelCorrection, Prediction
from tests.conftest import Client, MakeClient
from tests.support.passengers import PASSENGER, prediction
from tests.support.served import Served, serve
from tests.support.waiting import until

ADMIN = {"X-API-Key": "the-key-of-an-admin"}


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    return tmp_path / "a" / "b"


@pytest.fixture
def client(make_client: MakeClient, database_url: str, exports: Path) -> Client:
    return make_client(database_url=database_url, admin_key=(ADMIN["X-API-Key"],), exports=str(exports))


@pytest.fixture
def name(database_url: str) -> str:
    return name_of(connect(database_url))


def reset(client: Client, body: Any) -> Any:
    return client.post("/admin/reset", json=body, headers=ADMIN)


def lines(folder: Path) -> list[dict[str, Any]]:
    """The rows of all exports in a folder, in the order of their names."""
    return [json.loads(line) for path in sorted(folder.iterdir()) for line in path.read_text().splitlines()]


def kept(database_url: str) -> tuple[int, int]:
    database = connect(database_url)
    with database.connection_context():
        return Prediction.select().count(database), LabelCorrection.select().count(database)


def test_the_name_is_that_of_the_file_or_of_the_database() -> None:
    assert name_of(connect("sqlite:////var/lib/log.db")) == "log.db"
    assert name_of(connect("postgres://u:p@h:5432/scores?sslmode=require")) == "scores"


def test_everything_is_exported_and_then_removed(
    client: Client, name: str, database_url: str, exports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reset_dump, "_BLOCK_ROWS", 2)
    ids = ["a\u2028\nb", 1, "1", -(2**63), "é"]
    answers = [client.post("/predict", json=prediction(id_)).json for id_ in ids]
    for true_class in (1, 0, 1):
        client.post("/update", json={"id": 1, "true_class": true_class})

    response = reset(client, {"database": name})

    assert response.status_code == 200
    assert response.json["rows"] == 5
    assert [path.name for path in exports.iterdir()] == [response.json["export"]]
    assert kept(database_url) == (0, 0)
    exported = lines(exports)
    assert [line["observation_id"] for line in exported] == ids
    assert [line["proba"] for line in exported] == [answer["proba"] for answer in answers]
    assert exported[0]["observation"] == PASSENGER
    assert exported[1]["true_class"] is True
    assert [one["replaced_class"] for one in exported[1]["corrections"]] == [True, False]
    assert exported[0]["corrections"] == []
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", line["created_at"]) for line in exported)
    assert (exports / response.json["export"]).stat().st_mode & 0o777 == 0o600


def test_the_export_is_flushed_before_rows_are_removed(
    client: Client, name: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.post("/predict", json=prediction(1))
    counts: list[tuple[int, int]] = []
    flush = os.fsync

    def count_and_flush(descriptor: int) -> None:
        counts.append(kept(database_url))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", count_and_flush)

    reset(client, {"database": name})

    assert counts == [(1, 0), (1, 0)]  # the file, and its folder


def test_predictions_continue_after_a_reset(client: Client, name: str, exports: Path) -> None:
    client.post("/predict", json=prediction(1))
    reset(client, {"database": name})

    again = client.post("/predict", json=prediction(1))
    second, third = reset(client, {"database": name}), reset(client, {"database": name})

    assert "Idempotent-Replayed" not in again.headers
    assert (second.json["rows"], third.json["rows"]) == (1, 0)
    assert len(list(exports.iterdir())) == 3


def test_a_label_file_that_was_not_read_to_its_end_begins_again_after_a_reset(
    client: Client, name: str, session: Session
) -> None:
    log = LabelFileLog(session, "a", regression=False)
    log.begin()
    client.post("/predict", json=prediction(1))
    log.take([TrueLabel("1", True)], Position(0, 1))

    reset(client, {"database": name})

    assert log.begin() == Position(0, 0)


def test_an_export_folder_that_cannot_be_created_removes_nothing(
    client: Client, name: str, database_url: str, exports: Path
) -> None:
    client.post("/predict", json=prediction(1))
    exports.parent.write_text("in the way")

    response = reset(client, {"database": name})

    assert response.status_code == 503
    assert "nothing was removed" in response.json["detail"]
    assert kept(database_url) == (1, 0)


def test_a_full_disk_removes_nothing_and_leaves_no_file(
    client: Client, name: str, database_url: str, exports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    client.post("/predict", json=prediction(1))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        response = reset(client, {"database": name})

    assert response.status_code == 503
    assert "No space left on device" in response.json["detail"]
    assert kept(database_url) == (1, 0)
    assert list(exports.iterdir()) == []


@pytest.mark.parametrize(
    "body",
    [{}, {"database": ""}, {"database": None}, {"database": "other"}, {"database": 1}, [], "x", {"name": "x"}],
)
def test_a_wrong_name_is_refused_and_the_right_one_not_shown(
    client: Client, name: str, database_url: str, body: Any
) -> None:
    client.post("/predict", json=prediction(1))

    response = reset(client, body)

    assert response.status_code == 422
    assert name not in response.text
    assert kept(database_url) == (1, 0)


def test_another_member_is_refused(client: Client, name: str) -> None:
    assert reset(client, {"database": name, "force": True}).status_code == 422


def test_without_the_admin_key_nothing_is_removed(client: Client, name: str, database_url: str) -> None:
    client.post("/predict", json=prediction(1))

    assert client.post("/admin/reset", json={"database": name}).status_code == 401
    assert kept(database_url) == (1, 0)


@pytest.mark.long
def test_rows_stored_during_a_reset_are_exported_or_kept(tmp_path: Path, database_url: str, name: str) -> None:
    settings = {"ADMIN_KEY": ADMIN["X-API-Key"], "EXPORTS": str(tmp_path / "exports")}
    stop = Event()
    acknowledged: list[int] = []

    def send(sender: int) -> None:
        number = sender
        while not stop.is_set():
            if served.post("/predict", prediction(number)).status_code == 200:
                acknowledged.append(number)
            number += 8

    with serve(tmp_path, database_url, variables=settings) as served, ThreadPoolExecutor(8) as pool:
        senders = [pool.submit(send, i) for i in range(8)]
        emptied = []
        for _ in range(4):
            before = len(acknowledged)
            until(lambda before=before: len(acknowledged) > before + 50)  # type: ignore[misc]
            emptied.append(served.post("/admin/reset", {"database": name}, headers=ADMIN))
        stop.set()
        for sender in senders:
            sender.result()

    assert [response.status_code for response in emptied] == [200] * 4
    exported = [line["observation_id"] for line in lines(tmp_path / "exports")]
    with connect(database_url) as database:
        remaining = [json.loads(row.observation_id) for row in Prediction.select().execute(database)]
    assert len(exported) == sum(response.json()["rows"] for response in emptied)
    assert sorted(exported + remaining) == sorted(acknowledged)
    assert len(exported) > 100


def test_the_log_shows_no_key_and_no_name(tmp_path: Path) -> None:
    settings = {"ADMIN_KEY": ADMIN["X-API-Key"], "EXPORTS": str(tmp_path / "exports"), "LOG_LEVEL": "debug"}
    served: Served
    with serve(tmp_path, f"sqlite:///{tmp_path}/log.db", variables=settings) as served:
        served.post("/predict", prediction(1, Cabin="SECRET"))
        done = served.post("/admin/reset", {"database": "log.db"}, headers=ADMIN).json()

    log = served.log.read_text()
    assert f"level=warning event=reset rows=1 export={done['export']}" in log
    assert "SECRET" not in log
    assert ADMIN["X-API-Key"] not in log
