"""The list of faults. Each runs on its own database."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.chaos import controls, databases, load, senders
from tests.chaos.cluster import Cluster
from tests.chaos.faults import bodies, descriptors, erasure, exports, files, flushes, output, processes, readers, swaps
from tests.chaos.outcome import Outcome, Scale
from tests.chaos.stage import Stage, web_command

Run = Callable[[Cluster, Path, Scale], Outcome]

# Slow faults, and faults that behave alike on both databases.
_LONG = frozenset(
    {
        "connections_are_idle, postgresql",
        "file_is_read_only",
        "label_is_not_committed, postgresql",
        "log_is_erased, sqlite",
        "master_is_killed, postgresql",
        "senders_leave, postgresql",
        "server_refuses",
        "service_is_reloaded, sqlite",
        "service_is_restarted, postgresql",
        "soak, postgresql",
        "turn_is_held",
        "twice_the_rate, sqlite",
        "worker_is_frozen, postgresql",
    }
)


@dataclass(frozen=True, slots=True)
class Case:
    """A fault and its name."""

    name: str
    run: Run


def cases(*, at_length: bool) -> Sequence[Case]:
    """The faults that the tests run. `at_length` adds the slow ones, the second database, and, if available, those that
    need strace or root."""
    found = [*_on_each_database(), *_of_postgresql(), *_of_sqlite(), *_controls()]
    return [*_at_length(), *found] if at_length else [case for case in found if case.name not in _LONG]


def _on_each_database() -> list[Case]:
    on_both = (
        processes.workers_are_killed,
        processes.master_is_killed,
        processes.service_is_restarted,
        processes.service_is_reloaded,
        processes.worker_is_frozen,
        processes.service_is_asked_to_stop,
        senders.senders_leave,
        senders.senders_repeat,
        erasure.log_is_erased,
    )
    found = [_staged(fault, kind) for fault in on_both for kind in ("sqlite", "postgresql")]
    return [
        *found,
        _staged(senders.senders_are_slow, "sqlite"),
        _staged(senders.connections_are_idle, "postgresql"),
        _staged(load.twice_the_rate, "sqlite"),
        _staged(load.soak, "postgresql"),
        _staged(exports.export_may_not_grow, "postgresql"),
        _staged(bodies.bodies_are_hostile, "sqlite"),
        _staged(bodies.arrays_are_large, "postgresql"),
        _staged(readers.readers_are_slow, "sqlite", **readers.ONE_WORKER),
        _staged(descriptors.descriptors_are_exhausted, "sqlite"),
        _on_file(output.output_is_stalled),
        _staged(swaps.models_are_swapped, "sqlite", **swaps.SIGNED),
        _staged(swaps.models_are_swapped, "postgresql", **swaps.SIGNED),
    ]


def _at_length() -> list[Case]:
    found = [
        _staged(senders.senders_are_slow, "postgresql"),
        _staged(senders.connections_are_idle, "sqlite"),
        _staged(load.twice_the_rate, "postgresql"),
        _staged(load.soak, "sqlite"),
    ]
    if shutil.which("strace"):
        found += [_staged(flushes.commits_are_flushed, kind) for kind in ("sqlite", "postgresql")]
    if files.can_mount():
        found += map(_on_file, (files.file_system_is_full, exports.export_meets_full_file_system))
    return found


def _staged(fault: Callable[[Stage, Scale], Outcome], kind: str, app: str = "", **variables: str) -> Case:
    """A fault of the service on a database; `app` is a variant of the service."""
    command = web_command(app) if app else None

    def run(cluster: Cluster, folder: Path, scale: Scale) -> Outcome:
        url = f"sqlite:///{folder}/log.db" if kind == "sqlite" else cluster.new_database()
        with Stage(folder, url, command, variables) as stage:
            return fault(stage, scale)

    return Case(f"{fault.__name__}, {kind}", run)


def _of_postgresql() -> list[Case]:
    faults = (
        databases.server_is_stopped_at_once,
        databases.connections_are_terminated,
        databases.server_refuses,
        databases.server_falls_silent,
        databases.server_has_no_connection_left,
        swaps.database_is_away_during_a_swap,
    )
    return [Case(fault.__name__, fault) for fault in faults]


def _of_sqlite() -> list[Case]:
    faults = (
        files.file_is_locked,
        files.turn_is_held,
        files.disk_is_full,
        files.file_is_read_only,
        files.file_is_deleted,
    )
    return [_on_file(fault) for fault in faults]


def _on_file(fault: Callable[[Path, Scale], Outcome]) -> Case:
    return Case(fault.__name__, lambda _, folder, scale: fault(folder, scale))


def _controls() -> list[Case]:
    return [
        Case("commit_is_not_flushed", lambda cluster, folder, _: controls.commit_is_not_flushed(cluster, folder)),
        Case("id_is_not_unique", lambda cluster, folder, _: controls.id_is_not_unique(cluster, folder)),
        _staged(controls.label_is_not_committed, "sqlite", app="tests.chaos.broken.uncommitted:app"),
        _staged(controls.label_is_not_committed, "postgresql", app="tests.chaos.broken.uncommitted:app"),
        _staged(swaps.rows_name_another_model, "sqlite", app="tests.chaos.broken.misnamed:app", **swaps.SIGNED),
    ]
