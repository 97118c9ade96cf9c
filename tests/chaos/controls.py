"""Positive controls: setups that lose or duplicate rows, to show that the audit finds such errors."""

import time
from copy import deepcopy
from pathlib import Path

from tests.chaos.audits.labels import audit_log
from tests.chaos.audits.rows import Audit, audit, rows
from tests.chaos.cluster import Cluster
from tests.chaos.outcome import Outcome, Scale, outcome
from tests.chaos.recorder import Recorder
from tests.chaos.sender import Acknowledged
from tests.chaos.stage import Stage, web_command

_SECONDS = 1.0
_RACE_SECONDS = 2.0
_RACES = 10
_KILLS = 8
_UNFLUSHED = {"synchronous_commit": "off", "wal_writer_delay": "10s", "wal_writer_flush_after": "1GB"}
_FLUSHED = {"synchronous_commit": "on", "wal_writer_delay": "200ms", "wal_writer_flush_after": "1MB"}


def commit_is_not_flushed(cluster: Cluster, folder: Path) -> Outcome:
    """PostgreSQL confirms commits before it flushes them, and crashes: the audit must find lost rows."""
    cluster.configure(**_UNFLUSHED)
    cluster.stop()
    cluster.start()
    try:
        with Stage(folder, cluster.new_database()) as stage, Recorder(stage.port) as recorder:
            recorder.recovery(time.monotonic())
            cluster.administer("CHECKPOINT")  # the table must survive the crash
            time.sleep(_SECONDS)
            cluster.stop()
            acknowledged, labelled = recorder.acknowledged(), deepcopy(recorder.labelled())
            cluster.start()
            stage.stop()
            found = audit_log(stage.database_url, acknowledged, labelled)
    finally:
        cluster.configure(**_FLUSHED)
        cluster.stop()
        cluster.start()
    caught = outcome("CONTROL: commits not flushed, PostgreSQL stopped at once", stage, recorder.total("sent"), found)
    caught.caught = found.lost > 0
    return caught


def id_is_not_unique(cluster: Cluster, folder: Path) -> Outcome:
    """The service without the UNIQUE constraint, with a check before each insert: the audit must find duplicates."""
    command = web_command("tests.chaos.broken.unguarded:app")
    with Stage(folder, cluster.new_database(), command) as stage:
        cluster.administer_in(
            stage.database_url, "ALTER TABLE prediction DROP CONSTRAINT prediction_observation_id_key"
        )
        acknowledged: list[Acknowledged] = []
        sent, found = 0, Audit()
        for i in range(_RACES):  # in one run all connections may go to the same worker, which cannot race itself
            with Recorder(stage.port, retries=True, labels=False, name=f"race-{i}") as recorder:
                time.sleep(_RACE_SECONDS)
            acknowledged += recorder.acknowledged()
            sent += recorder.total("sent")
            found = audit(acknowledged, rows(stage.database_url))
            if found.duplicated:
                break
    caught = outcome("CONTROL: ids not unique, every request sent twice", stage, sent, found)
    caught.caught = found.duplicated > 0
    return caught


def label_is_not_committed(stage: Stage, scale: Scale) -> Outcome:
    """The service acknowledges labels before their commit, and workers are killed: the audit must find lost labels."""
    with Recorder(stage.port) as recorder:
        for i in range(_KILLS):
            recorder.recovery(stage.kill_worker(i))
    found = audit_log(stage.database_url, recorder.acknowledged(), recorder.labelled())
    caught = outcome("CONTROL: labels not committed, SIGKILL of workers", stage, recorder.total("sent"), found)
    caught.caught = found.labels_lost > 0 and not found.lost
    return caught
