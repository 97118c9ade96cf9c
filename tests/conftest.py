"""What many tests share: a real SQLite file and a real PostgreSQL server, and the service in this process."""

import itertools
import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import psycopg
import pytest
from flask import Flask
from peewee import Database

from serialize.recipes import RECIPES
from serialize.recipes.recipe import train
from service.factory import create_app
from service.settings import Settings
from service.storage.connection import connect
from service.storage.migrate import prepare
from service.storage.session import Session
from service.telemetry.multiprocess_dir import MultiprocessDir
from tests.support.moto import S3, new_bucket, s3_server
from tests.support.passengers import ARTIFACTS
from tests.support.postgresql import postgresql

# What is generated is the same mix in fewer examples than the library's hundred: many tests are of that kind. How long
# the machine takes for it is no failure.
hypothesis.settings.register_profile(
    "suite", max_examples=30, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("suite")

_numbers = itertools.count()

Client = Any  # Flask's own, whose type says of every answer that its JSON may be missing
MakeClient = Callable[..., Client]


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The URL of a PostgreSQL server that runs for this test session."""
    with postgresql() as server:
        yield server.get_uri()


@pytest.fixture(scope="session")
def prepared_postgresql(postgresql_server: str) -> str:
    """The name of a PostgreSQL database with the tables of the log, which tests must not change."""
    url = empty_postgresql(postgresql_server)
    prepare(connect(url))
    return url.partition("?")[0].rpartition("/")[2]


@pytest.fixture(scope="session")
def prepared_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the tables of the log, which tests must not change."""
    path = tmp_path_factory.mktemp("prepared") / "predictions.db"
    prepare(connect(f"sqlite:///{path}"))
    return path


@pytest.fixture
def postgresql_url(request: pytest.FixtureRequest, postgresql_server: str) -> str:
    """The URL of an empty PostgreSQL database, or of a prepared one as `database_url` says."""
    if _is_prepared(request):
        return empty_postgresql(postgresql_server, request.getfixturevalue("prepared_postgresql"))
    return empty_postgresql(postgresql_server)


def empty_postgresql(server: str, template: str = "template1") -> str:
    """Creates a database on a server, as a copy of another one, and gives its URL."""
    name = f"test_{next(_numbers)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
    return server.replace("/postgres?", f"/{name}?")


@pytest.fixture(scope="session")
def s3_address() -> Iterator[str]:
    """The URL of a server with the API of Amazon S3 that runs for this test session."""
    with s3_server() as address:
        yield address


@pytest.fixture
def cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where this test keeps the files that were read from a URL."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path / "temporary" / f"prediction-service-{os.getuid()}"


@pytest.fixture
def s3(s3_address: str, monkeypatch: pytest.MonkeyPatch, cache_folder: Path) -> S3:
    """An empty bucket. The environment names its server and has credentials, and the cache is empty."""
    s3 = new_bucket(s3_address)
    for name, value in s3.variables.items():
        monkeypatch.setenv(name, value)
    return s3


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A certificate of 127.0.0.1 with its key. Clients trust it."""
    path = tmp_path / "certificate.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1"
    extensions = ("-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE")
    output = ("-keyout", path, "-out", tmp_path / "alone.pem")
    subprocess.run([*command.split(), *extensions, *output], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + (tmp_path / "alone.pem").read_bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "alone.pem"))
    return path


def _is_prepared(request: pytest.FixtureRequest) -> bool:
    """Whether the test has a fixture that prepares its database before the test begins."""
    return not {"database", "session", "client"}.isdisjoint(request.fixturenames)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, of each kind in turn. If the test has the fixture `database`, `session` or
    `client`, it has the tables already: to copy them is quicker than to migrate."""
    if request.param == "sqlite":
        if _is_prepared(request):
            shutil.copy(request.getfixturevalue("prepared_sqlite"), tmp_path / "predictions.db")
        return f"sqlite:///{tmp_path}/predictions.db"
    url: str = request.getfixturevalue("postgresql_url")
    return url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A prepared database with its connection open."""
    database = connect(database_url)
    prepare(database)
    database.connect()
    yield database
    database.close()


@pytest.fixture
def session(database_url: str) -> Iterator[Session]:
    """The session of a prepared database."""
    database = connect(database_url)
    prepare(database)
    session = Session(database)
    yield session
    session.close()


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The artifact of each recipe by name; titanic is the one that ships."""
    folder = tmp_path_factory.mktemp("artifacts")
    for name in ("iris", "diabetes"):
        train(RECIPES[name](), folder / name)
    return {"titanic": ARTIFACTS, "iris": folder / "iris", "diabetes": folder / "diabetes"}


@pytest.fixture
def make_client(tmp_path: Path) -> Iterator[MakeClient]:
    """Builds the service in this process, with settings as keyword arguments, and gives a client for it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    made: list[Flask] = []

    def make(**settings: Any) -> Client:
        defaults = {"database_url": f"sqlite:///{tmp_path}/predictions.db", "artifacts": str(ARTIFACTS)}
        made.append(create_app(Settings(**{**defaults, **settings})))
        made[-1].extensions["metrics"].share(MultiprocessDir.make(tmp_path))
        return made[-1].test_client()

    yield make
    for app in made:
        app.extensions["session"].close()
        app.extensions["metrics"].close()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


@pytest.fixture
def client(make_client: MakeClient, database_url: str) -> Client:
    """A client of the shipped model's service, on each kind of database in turn."""
    return make_client(database_url=database_url)
