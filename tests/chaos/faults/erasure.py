"""Predictions are erased, one by one, by age and all at once, while others are stored and labelled."""

import random
import re
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import psycopg

from service.client import Client
from tests.chaos.administrator import Administrator
from tests.chaos.audits.erasures import audit_erased
from tests.chaos.audits.rows import rows
from tests.chaos.outcome import Outcome, Scale, concluded
from tests.chaos.recorder import Recorder
from tests.chaos.sender import PASSENGERS
from tests.chaos.stage import Stage
from tests.support.passengers import PROJECT
from tests.support.served import environment

_OLD = 1000
_AGE = (
    "UPDATE prediction SET created_at = '2020-01-01T00:00:00.000000+00:00' WHERE observation_id LIKE '\"old-%' "
    "RETURNING id"
)
_ERASED_A_ROUND = 20
_PAUSE_SECONDS = 0.2


def log_is_erased(stage: Stage, scale: Scale) -> Outcome:
    """DELETE of single predictions, `purge` of old ones and resets: each acknowledged prediction is in the log, in an
    export, or in the answer to its erasure, with its labels."""
    _predict_old(stage)
    with Recorder(stage.port) as recorder, Administrator(stage) as administrator:
        recorder.recovery(time.monotonic())
        purged = _purge(stage, recorder, administrator)
        remaining = sum(row[1].startswith('"old-') for row in rows(stage.database_url))
        for _ in range(2 * scale.repeats):
            _erase_some(recorder, administrator)
            administrator.reset()
            time.sleep(_PAUSE_SECONDS)
        recovery = recorder.recovery(time.monotonic())
    found = audit_erased(stage, recorder, administrator)
    found.blame("an old prediction that was not purged", remaining)
    found.blame("another number of purged predictions", purged != _OLD)
    found.blame("a reset that was not answered 200", 2 * scale.repeats - administrator.resets)
    figures = {"resets": administrator.resets, "erased": administrator.erasures, "purged": purged}
    name = f"DELETE, purge and {2 * scale.repeats} resets under load"
    return concluded(name, stage, recorder, found, recovery, **figures, unknown_labels=len(recorder.unknown()))


def _predict_old(stage: Stage) -> None:
    """Stores predictions, and makes them old."""
    with Client(f"http://127.0.0.1:{stage.port}", timeout=30) as client:
        assert len(list(client.predict_many((f"old-{i}", PASSENGERS[i]) for i in range(_OLD)))) == _OLD
    if stage.database_url.startswith("sqlite:///"):
        with closing(sqlite3.connect(stage.database_url.removeprefix("sqlite:///"))) as connection, connection:
            aged = len(connection.execute(_AGE).fetchall())
    else:
        with psycopg.connect(stage.database_url) as postgresql:
            aged = len(postgresql.execute(_AGE.encode()).fetchall())
    assert aged == _OLD


def _purge(stage: Stage, recorder: Recorder, administrator: Administrator) -> int:
    """Runs the command, erases single predictions meanwhile, and returns the number of purged ones."""
    command = [sys.executable, "-m", "service", "purge", "--older-than", "90d", "--yes"]
    variables = environment(DATABASE_URL=stage.database_url)
    with subprocess.Popen(command, cwd=PROJECT, env=variables, stdout=subprocess.PIPE, text=True) as purging:
        while purging.poll() is None:
            _erase_some(recorder, administrator)
            time.sleep(_PAUSE_SECONDS)
        said = purging.communicate()[0]
    assert purging.returncode == 0, said
    found = re.match(r"(\d+) predictions and their labels were erased", said)
    return int(found[1]) if found else 0


def _erase_some(recorder: Recorder, administrator: Administrator) -> None:
    """Erases some predictions, about half of them labelled."""
    acknowledged, labelled = recorder.acknowledged(), recorder.labelled()
    for _ in range(_ERASED_A_ROUND // 2):
        administrator.erase(random.choice(acknowledged[-200:]).id)
        administrator.erase(random.choice(labelled).id)
