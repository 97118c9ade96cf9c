"""A PostgreSQL server that can be crashed, reconfigured and cut off."""

import itertools
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg

from tests.chaos.stage import until
from tests.support import postgresql

_MOST_CONNECTIONS = 20
_START_SECONDS = 60.0
_TERMINATE = b"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'prediction-service'"


class Cluster:
    """One server with its own data folder. It flushes at every commit unless it is configured otherwise."""

    def __init__(self, folder: Path) -> None:
        self._server = postgresql.start(folder)
        self._numbers = itertools.count()

    @property
    def socket(self) -> str:
        """The path of its Unix socket."""
        folder = parse_qs(urlsplit(self._server.get_uri()).query)["host"][0]
        return f"{folder}/.s.PGSQL.5432"

    def new_database(self) -> str:
        """The URL of an empty database."""
        name = f"chaos_{next(self._numbers)}"
        self.administer(f"CREATE DATABASE {name}")
        return str(self._server.get_uri()).replace("/postgres?", f"/{name}?")

    def administer(self, *statements: str) -> None:
        """Runs statements as the superuser."""
        self.administer_in(self._server.get_uri(), *statements)

    def administer_in(self, url: str, *statements: str) -> None:
        """Runs statements in one of the databases."""
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def configure(self, **parameters: Any) -> None:
        """Sets parameters of the server for its next start."""
        self.administer(*(f"ALTER SYSTEM SET {name} = '{value}'" for name, value in parameters.items()))

    def terminate_connections(self) -> None:
        """Terminates every connection of the service."""
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute(_TERMINATE)

    @contextmanager
    def filled(self) -> Iterator[None]:
        """Terminates the connections of the service and takes all connections of the server until the block ends.

        A connection may end between two looks and leave its place to the service; so two looks in a row must find no
        place and no connection of the service."""
        with ExitStack() as others:
            first = others.enter_context(psycopg.connect(self._server.get_uri(), autocommit=True))
            quiet = 0
            while quiet < 2:
                taken, terminated = self._take_all(others), first.execute(_TERMINATE).fetchall()
                quiet = 0 if taken or terminated else quiet + 1
            yield

    def _take_all(self, others: ExitStack) -> int:
        """Takes the connections that are left and returns their number."""
        taken = 0
        with suppress(psycopg.OperationalError):  # too many clients already
            while True:
                others.enter_context(psycopg.connect(self._server.get_uri()))
                taken += 1
        return taken

    def stop(self) -> None:
        """Stops the server like a crash: `pg_ctl stop -m immediate`."""
        postgresql.stop(self._server)

    def start(self) -> None:
        """Starts the server and waits until crash recovery is done."""
        with suppress(subprocess.SubprocessError):  # pg_ctl did not end in time
            self._server.ensure_postgres_running()
        until(self._takes_connections, _START_SECONDS)

    def _takes_connections(self) -> bool:
        try:
            psycopg.connect(self._server.get_uri()).close()
        except psycopg.OperationalError:
            return False
        return True

    def end(self) -> None:
        """Stops the server for good."""
        self._server.cleanup()


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A running server until the block ends."""
    running = Cluster(folder)
    try:
        running.configure(max_connections=_MOST_CONNECTIONS)
        running.stop()
        running.start()
        yield running
    finally:
        running.end()


def through(url: str, port: int) -> str:
    """The URL of the same database through a TCP port of the loopback interface."""
    return f"postgresql://postgres@127.0.0.1:{port}{urlsplit(url).path}"
