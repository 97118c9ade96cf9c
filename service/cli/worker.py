"""The command `python -m service worker`."""

import os
import signal
import socket
import sys
from functools import partial

import click

from serialize.errors import ArtifactError
from service.learning.rounds import Rounds
from service.learning.worker import Worker
from service.registry.release import registry_of
from service.settings import Settings, SettingsError, set_native_defaults
from service.storage.connection import DatabaseError, database_of
from service.storage.learning.growth import newest_row
from service.storage.learning.jobs import JobStore
from service.storage.migrate import prepare
from service.storage.session import Session
from service.telemetry import log_format

_CHILD = (sys.executable, "-m", "service.learning")
_ROUND = (sys.executable, "-m", "service.learning.shadow")
_PATIENCE_SECONDS = 5.0


@click.command()
def worker() -> None:
    """Do the jobs that POST /admin/retrain queues, one after the other, until SIGTERM, and watch promotions.

    At SIGTERM the job that runs is stopped and waits for the next worker."""
    run(_CHILD)


def run(command: tuple[str, ...]) -> None:
    """Runs a worker that starts a child with this command for each job."""
    try:
        settings = Settings.from_env()
        log_format.configure(settings.log_level)
        prepare(database_of(settings))
        session = Session(database_of(settings, _PATIENCE_SECONDS), _PATIENCE_SECONDS)
        rounds = Rounds(registry_of(settings, session), session, _ROUND)
    except (SettingsError, DatabaseError, ArtifactError) as error:
        raise click.ClickException(str(error)) from error
    set_native_defaults()  # the children inherit it
    name = f"{socket.gethostname()}:{os.getpid()}"
    newest = partial(session.watch, partial(newest_row, session.database))
    loop = Worker(JobStore(session), name, command, newest, rounds)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: loop.stop())
    try:
        loop.run()
    finally:
        session.close()
