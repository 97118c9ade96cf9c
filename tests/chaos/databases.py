"""Faults of PostgreSQL and of the network to it."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.chaos.cluster import Cluster, through
from tests.chaos.faults.outage import outage
from tests.chaos.faults.proxy import Proxy
from tests.chaos.outcome import RECOVERY_SECONDS, Outcome, Scale, recorded
from tests.chaos.recorder import Recorder
from tests.chaos.stage import Stage


def server_is_stopped_at_once(cluster: Cluster, folder: Path, scale: Scale) -> Outcome:
    """The server crashes (`pg_ctl stop -m immediate`) and starts again."""
    with Stage(folder, cluster.new_database()) as stage:

        def fault(recorder: Recorder) -> float:
            longest = 0.0
            for _ in range(scale.repeats):
                longest = max(longest, outage(stage, recorder, cluster.stop, cluster.start, 1.0))
            return longest

        return recorded(f"PostgreSQL stopped at once and started, {scale.repeats}x", stage, fault)


def connections_are_terminated(cluster: Cluster, folder: Path, scale: Scale) -> Outcome:
    """Every connection of the service is terminated (pg_terminate_backend), repeatedly."""
    with Stage(folder, cluster.new_database()) as stage:

        def fault(recorder: Recorder) -> float:
            longest = 0.0
            for _ in range(scale.kills):
                cluster.terminate_connections()
                longest = max(longest, recorder.recovery(time.monotonic()))
            return longest

        name = f"every connection terminated, {scale.kills} times"
        return recorded(name, stage, fault, recovers_within=RECOVERY_SECONDS)


def server_refuses(cluster: Cluster, folder: Path, scale: Scale) -> Outcome:
    """Connections to the server are closed and refused."""
    with _cut_off(cluster, folder) as (stage, proxy):

        def fault(recorder: Recorder) -> float:
            return outage(stage, recorder, proxy.refuse, proxy.restore, scale.outage_seconds)

        name = f"PostgreSQL refused for {scale.outage_seconds:g} s"
        return recorded(name, stage, fault, recovers_within=RECOVERY_SECONDS)


def server_falls_silent(cluster: Cluster, folder: Path, scale: Scale) -> Outcome:
    """Packets to the server are dropped without an error; the old connections stay dead."""
    with _cut_off(cluster, folder) as (stage, proxy):

        def fault(recorder: Recorder) -> float:
            return outage(stage, recorder, proxy.swallow, proxy.restore, scale.outage_seconds)

        name = f"PostgreSQL silent for {scale.outage_seconds:g} s"
        return recorded(name, stage, fault, recovers_within=RECOVERY_SECONDS)


def server_has_no_connection_left(cluster: Cluster, folder: Path, scale: Scale) -> Outcome:
    """Other clients use all connections of the server (max_connections)."""
    with Stage(folder, cluster.new_database()) as stage, ExitStack() as others:

        def fault(recorder: Recorder) -> float:
            return outage(stage, recorder, lambda: others.enter_context(cluster.filled()), others.close, 2.0)

        return recorded("max_connections reached", stage, fault, recovers_within=RECOVERY_SECONDS)


@contextmanager
def _cut_off(cluster: Cluster, folder: Path) -> Iterator[tuple[Stage, Proxy]]:
    """A service that reaches the server through a proxy."""
    with Proxy(cluster.socket) as proxy, Stage(folder, through(cluster.new_database(), proxy.port)) as stage:
        yield stage, proxy
