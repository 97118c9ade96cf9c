"""An import that is killed goes on where it was: no row is missing or there twice, and the service keeps answering."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from peewee import Database

from service.errors import Unavailable
from service.storage.connection import connect
from service.storage.feeds.tables import LabelEvent
from service.storage.original_import import ALREADY_THERE, IMPORTED, LABELLED, OriginalImport
from service.storage.original_log import OriginalValues
from service.storage.session import Session
from service.storage.statements import Statements
from service.storage.tables import Prediction
from tests.conftest import MakeClient
from tests.support.original_table import BAD_ROWS, COLUMNS, body, good_rows, make_original
from tests.support.passengers import ARTIFACTS, PROJECT, prediction
from tests.support.served import environment
from tests.support.waiting import until

ROWS = 20_000


def page(*rows: Sequence[Any]) -> list[OriginalValues]:
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows]


def importing(session: Session) -> OriginalImport:
    return OriginalImport(session, (False, True), 0.5, None)


def started(database_url: str, source: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        (sys.executable, "-m", "service", "import", str(source)),
        cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=environment(DATABASE_URL=database_url, ARTIFACTS=str(ARTIFACTS)),
    )  # fmt: skip


def count(database: Database) -> int:
    return int(Prediction.select().count(database))


@pytest.mark.long
def test_an_import_that_is_killed_twice_and_repeated_is_complete(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    source = tmp_path / "original.db"
    bad = [(50_000 + i, *values[1:]) for i, values in enumerate(BAD_ROWS.values())]
    good = good_rows(ROWS)
    first = [(-i, *values[1:]) for i, values in enumerate(BAD_ROWS.values(), start=1) if values[1] not in (10, 20)]
    make_original(f"sqlite:///{source}", [*first, *good, *bad])
    for _ in range(2):
        before = count(database)
        process = started(database_url, source)
        until(lambda: count(database) > before + 2_000)  # noqa: B023
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL
        assert before < count(database) < ROWS

    process = started(database_url, source)
    output, _ = process.communicate(timeout=100)

    assert process.returncode == 0, output
    rows = Prediction.select(Prediction.observation_id, Prediction.proba, Prediction.true_class).order_by(Prediction.id)
    labels = {None: None, 0: "false", 1: "true"}
    assert list(rows.tuples().execute(database)) == [(str(row[1]), row[3], labels[row[4]]) for row in good]
    rejects = [json.loads(line)["id"] for line in (tmp_path / "original.db.rejects.ndjson").read_text().splitlines()]
    assert rejects == sorted(row[0] for row in [*first, *bad])


@pytest.mark.long
def test_the_service_answers_while_an_import_runs(make_client: MakeClient, database_url: str, tmp_path: Path) -> None:
    make_original(f"sqlite:///{tmp_path}/original.db", good_rows(ROWS))
    client = make_client(database_url=database_url)
    assert client.get("/performance").json["count"] == 0
    process = started(database_url, tmp_path / "original.db")
    answers: list[int] = []
    while process.poll() is None:
        answers.append(client.post("/predict", json=prediction(f"of the service {len(answers)}")).status_code)
    output, _ = process.communicate(timeout=60)

    assert process.returncode == 0, output
    assert len(answers) > 20
    assert set(answers) == {200}
    performance = client.get("/performance").json
    assert performance["count"] == ROWS + len(answers)
    assert performance["labelled"] == sum(row[4] is not None for row in good_rows(ROWS))


def test_of_rows_with_one_id_in_a_page_the_first_counts(database: Database, database_url: str) -> None:
    rows = [
        (1, 7, body(7), 0.5, None),
        (2, 7, body(7), 0.5, 1),
        (3, 7, body(7), 0.5, 1),
        (4, 7, body(7, Age=9), 0.5, 1),
    ]
    session = Session(connect(database_url))

    outcomes = importing(session).take(page(*rows))

    session.close()
    assert outcomes == [IMPORTED, LABELLED, ALREADY_THERE, "the log has this observation_id with another observation"]
    assert [row.true_class for row in Prediction.select().execute(database)] == ["true"]


def test_the_label_of_an_imported_row_is_an_event_of_the_feed(session: Session) -> None:
    rows = good_rows(8)

    importing(session).take(page(*rows))

    query = LabelEvent.select(LabelEvent.prediction_id, LabelEvent.true_class, LabelEvent.is_correction)
    truths = {0: "false", 1: "true"}
    assert sorted(query.tuples().execute(session.database)) == [
        (i, truths[row[4]], False) for i, row in enumerate(rows, start=1) if row[4] is not None
    ]


def test_a_page_whose_transaction_is_repeated_is_stored_once(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(connect(database_url))
    run: Callable[..., Any] = session.run
    monkeypatch.setattr(session, "run", lambda work: (run(work), run(work))[1])

    outcomes = importing(session).take(page(*good_rows(3)))

    session.close()
    assert outcomes == [ALREADY_THERE] * 3
    assert count(database) == 3


def test_a_row_that_is_erased_between_insert_and_read_is_inserted_again(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(connect(database_url))
    log = importing(session)
    log.take(page(*good_rows(3)))
    read = Statements.read

    def erased_first(self: Statements, keys: Sequence[str], **options: bool) -> Any:
        session.database.execute_sql("DELETE FROM prediction WHERE observation_id = '20'")
        monkeypatch.setattr(Statements, "read", read)
        return self.read(keys, **options)

    monkeypatch.setattr(Statements, "read", erased_first)
    outcomes = log.take(page(*good_rows(3)))

    session.close()
    assert outcomes == [ALREADY_THERE, IMPORTED, ALREADY_THERE]
    assert count(database) == 3


def test_a_database_that_is_gone_is_unavailable_and_stores_nothing(tmp_path: Path) -> None:
    (tmp_path / "log.db").touch()
    session = Session(connect(f"sqlite:///{tmp_path}/log.db"))
    (tmp_path / "log.db").unlink()

    with pytest.raises(Unavailable):
        importing(session).take(page(*good_rows(3)))

    session.close()
    assert not (tmp_path / "log.db").exists()
