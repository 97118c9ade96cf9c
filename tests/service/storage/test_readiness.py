"""A ping fails where /predict and /update would fail, leaves nothing behind, and succeeds again at once."""

import sqlite3
from pathlib import Path
from typing import Any

import psycopg
import pytest

from service.errors import Unavailable
from service.storage.connection import connect
from service.storage.migrate import prepare
from service.storage.session import Session
from service.storage.tables import Prediction
from tests.support.filled import insert


def prepared(url: str, patience: float = 0.5) -> Session:
    prepare(connect(url))
    return Session(connect(url, patience=patience), patience)


def refuse(session: Session) -> None:
    with pytest.raises(Unavailable) as refused:
        session.ping()
    assert "Retry-After" in refused.value.headers


def test_a_ping_writes_no_row_and_uses_up_no_id(database_url: str) -> None:
    session = prepared(database_url)
    for _ in range(3):
        session.ping()

    with connect(database_url) as database:
        assert Prediction.select().count(database) == 0
        assert insert(database, "1") == 1


@pytest.mark.parametrize("table", ["prediction", "label_correction", "label_change", "label_event"])
def test_a_database_without_a_table_of_the_log_is_not_ready_until_it_has_it(database_url: str, table: str) -> None:
    session = prepared(database_url)
    session.ping()
    with connect(database_url) as database:
        database.execute_sql(f"ALTER TABLE {table} RENAME TO aside")

        refuse(session)
        database.execute_sql(f"ALTER TABLE aside RENAME TO {table}")

    session.ping()


def test_a_table_without_a_column_that_predict_writes_is_not_ready(database_url: str) -> None:
    session = prepared(database_url)
    with connect(database_url) as database:
        database.execute_sql("ALTER TABLE prediction RENAME COLUMN model_version TO version")

        refuse(session)


@pytest.mark.parametrize("mode", ["ACCESS EXCLUSIVE", "EXCLUSIVE", "SHARE"])
def test_a_locked_table_is_not_ready_until_it_is_released(postgresql_url: str, mode: str) -> None:
    session = prepared(postgresql_url)
    with psycopg.connect(postgresql_url) as holder:
        holder.execute(f"LOCK TABLE prediction IN {mode} MODE".encode())

        refuse(session)
        holder.rollback()
        session.ping()


def test_a_writer_does_not_make_the_table_unready(postgresql_url: str) -> None:
    session = prepared(postgresql_url)
    with psycopg.connect(postgresql_url) as writer:
        writer.execute("INSERT INTO prediction (observation_id, observation, created_at) VALUES ('1', '{}', now())")

        session.ping()


@pytest.mark.parametrize(
    "revoked",
    [
        "INSERT ON prediction",
        "SELECT ON prediction",
        "UPDATE ON prediction",
        "INSERT ON label_correction",
        "INSERT ON label_change",
        "INSERT ON label_event",
        "USAGE ON SEQUENCE prediction_id_seq",
        "USAGE ON SEQUENCE label_event_id_seq",
    ],
)
def test_a_user_without_a_privilege_is_not_ready_until_it_has_it(postgresql_url: str, revoked: str) -> None:
    prepare(connect(postgresql_url))
    with psycopg.connect(postgresql_url, autocommit=True) as owner:
        role = f"writer_{owner.info.dbname}"

        def run(statement: str) -> None:
            owner.execute(statement.encode())

        run(f"CREATE ROLE {role} LOGIN")
        run(f"GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO {role}")
        run(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}")
        session = Session(connect(postgresql_url.replace("postgres:@", f"{role}:@"), patience=5))
        assert role in str(session.database.connect_params)
        session.ping()
        run(f"REVOKE {revoked} FROM {role}")

        refuse(session)
        run(f"GRANT {revoked} TO {role}")
        session.ping()


def test_a_sqlite_file_that_another_program_has_locked_is_not_ready_until_it_is_released(tmp_path: Path) -> None:
    session = prepared(f"sqlite:///{tmp_path}/predictions.db", 0.05)
    holder = sqlite3.connect(tmp_path / "predictions.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    refuse(session)
    holder.execute("ROLLBACK")

    session.ping()
    holder.close()


@pytest.mark.long  # a new application
def test_both_paths_answer_503_without_the_table_and_200_with_it(client: Any, database_url: str) -> None:
    with connect(database_url) as database:
        database.execute_sql("ALTER TABLE prediction RENAME TO aside")
        refused = [client.get(path) for path in ("/readyz", "/healthz")]
        database.execute_sql("ALTER TABLE aside RENAME TO prediction")

    assert [(answer.status_code, answer.headers["Retry-After"]) for answer in refused] == [(503, "2")] * 2
    assert [client.get(path).status_code for path in ("/readyz", "/healthz")] == [200, 200]
