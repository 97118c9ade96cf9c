"""A start that fails says why in a sentence, without any part of the URL of the database."""

import subprocess
from pathlib import Path

import pytest

from service.storage.connection import connect
from service.storage.migrate import prepare
from tests.support.passengers import ARTIFACTS, PROJECT
from tests.support.served import environment, free_port

_URLS = ("postgres://user:SECRET/SECRET@127.0.0.1:1/name", "postgres://user:SECRET?SECRET@127.0.0.1:1/name")
_COMMANDS = (
    ("gunicorn", "app:app"),
    ("python", "app.py"),
    ("python", "-m", "service", "migrate"),
    ("python", "-m", "service", "export", "--format", "csv", "-o", "-"),
    ("python", "-m", "service", "purge", "--older-than", "1d"),
    ("python", "-m", "service", "report", "--png", "unused"),
)


@pytest.mark.long  # a start for each command
@pytest.mark.parametrize("command", _COMMANDS, ids=" ".join)
def test_no_part_of_a_password_is_shown(command: tuple[str, ...]) -> None:
    for url in _URLS:
        given = environment(
            DATABASE_URL=url,
            ARTIFACTS=str(ARTIFACTS),
            PORT=str(free_port()),
            LOG_LEVEL="debug",
            PYTHONPATH=str(PROJECT),
        )
        ran = subprocess.run(command, cwd=PROJECT, env=given, capture_output=True, text=True, timeout=100, check=False)
        told = ran.stdout + ran.stderr

        assert ran.returncode != 0
        assert "SECRET" not in told
        assert "Traceback" not in told
        assert "DATABASE_URL" in told or "no server listens" in told


def test_gunicorn_does_not_log_the_variables_it_is_given() -> None:
    given = environment(ARTIFACTS=str(ARTIFACTS), PORT=str(free_port()), LOG_LEVEL="debug")
    command = ("gunicorn", "--env", f"DATABASE_URL={_URLS[1]}", "app:app")

    ran = subprocess.run(command, cwd=PROJECT, env=given, capture_output=True, text=True, timeout=100, check=False)

    assert ran.returncode != 0
    assert "no server listens" in ran.stderr
    assert "SECRET" not in ran.stdout + ran.stderr


@pytest.mark.long  # starts the service
def test_a_registry_that_cannot_be_read_is_told_in_a_sentence(tmp_path: Path) -> None:
    database = connect(f"sqlite:///{tmp_path}/log.db")
    prepare(database)
    with database.connection_context():
        database.execute_sql("DROP TABLE champion")
    given = environment(DATABASE_URL=f"sqlite:///{tmp_path}/log.db", ARTIFACTS=str(ARTIFACTS), PYTHONPATH=str(PROJECT))

    ran = subprocess.run(
        ("python", "app.py"), cwd=PROJECT, env=given, capture_output=True, text=True, timeout=100, check=False
    )

    assert ran.returncode != 0
    assert "The service cannot start. " in ran.stderr
    assert "Traceback" not in ran.stderr
