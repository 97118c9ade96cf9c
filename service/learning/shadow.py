"""What a worker does beside its jobs, in a process of its own: the scores of new rows by the challenger, or after a
promotion by the previous champion, and then a look of the watch.

`python -m service.learning.shadow STATE PARENT`; `rounds` starts it and reads the answers, one JSON object per line."""

import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from serialize.errors import ArtifactError, one_line
from serialize.writing.parent import end_with
from service.errors import ServiceError, Unavailable
from service.learning.process import PATIENCE_SECONDS
from service.learning.watched import Watched, watched
from service.process import LOWEST_PRIORITY
from service.registry.memory import limit_memory
from service.registry.registry import Registry
from service.registry.release import registry_of
from service.settings import Settings
from service.storage.connection import database_of
from service.storage.learning.challenger import newest_challenger
from service.storage.models.store import REGISTERED
from service.storage.session import Session
from service.telemetry import log_format
from service.telemetry.log_format import event

_SEEN_AGAIN = 5_000  # ids that are looked at again each time: PostgreSQL may commit a row after rows with higher ids

_log = logging.getLogger("service")

Tell = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Target:
    """A version that is to score the rows made at or after a time."""

    version: str
    since: datetime


def targets(registry: Registry, session: Session, found: Watched | None) -> list[Target]:
    """The models that score new rows now: the previous champion while a promotion is watched, and the newest challenger
    that was registered after the last promotion. Raises Unavailable."""
    chosen = []
    if found is not None:
        previous = registry.store.model(found.previous)
        if previous is not None and previous.state == REGISTERED:
            chosen.append(Target(found.previous, found.since))
    challenger = session.read(lambda: newest_challenger(session.database))
    newest = registry.promotions.newest(1)
    if challenger is not None and (not newest or newest[0].promoted_at < challenger[1]):
        chosen.append(Target(*challenger))
    return chosen


def work(registry: Registry, session: Session, state: Mapping[str, Any], tell: Tell, *, compiled: bool) -> None:
    """Does one round. `state` has the number of the last look at each promotion as `looked`, the last id that each
    version has scored as `ends`, and the versions to leave out as `failed`; `tell` takes what changes in it. Raises
    Unavailable."""
    found = watched(registry.promotions, datetime.now(UTC))
    for target in targets(registry, session, found):
        if target.version not in state["failed"]:
            after = max(0, int(state["ends"].get(target.version, 0)) - _SEEN_AGAIN)
            _score(registry, session, target, after, tell, compiled=compiled)
    if found is not None:  # last, because a look needs the scores
        _look(registry, session, found, int(state["looked"].get(str(found.promotion), 0)), tell)


def _look(registry: Registry, session: Session, found: Watched, least: int, tell: Tell) -> None:
    from service.learning.watch import act, look  # noqa: PLC0415 - the worker imports this module, and no pandas

    try:
        decision = look(registry, session, found, least)
        if decision is not None and act(registry, found, decision, datetime.now(UTC)):
            tell({"looked": {str(found.promotion): decision.look}})
    except Unavailable:
        raise
    except (ArtifactError, ServiceError) as error:
        event(_log, logging.WARNING, "watch-failed", version=found.champion, reason=one_line(error))


def _score(registry: Registry, session: Session, target: Target, after: int, tell: Tell, *, compiled: bool) -> None:
    from service.learning.replay import replay_of  # noqa: PLC0415 - nor scikit-learn

    tell({"scoring": target.version})
    try:
        done = replay_of(session, registry, target.version, compiled=compiled).run(target.since, after)
    except Unavailable:
        raise
    except (ArtifactError, ServiceError, MemoryError) as error:
        event(_log, logging.WARNING, "shadow-failed", version=target.version, reason=one_line(error))
        tell({"failed": target.version})
        return
    if done.scored or done.refused:
        event(_log, logging.INFO, "shadow", version=target.version, scored=done.scored, refused=done.refused or None)
    tell({"ends": {target.version: done.end}})


def _main(state: str, parent: str) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    end_with(int(parent))
    os.nice(LOWEST_PRIORITY)
    limit_memory()
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a model prints is no part of the answer
    settings = Settings.from_env()
    log_format.configure(settings.log_level)

    def tell(change: Mapping[str, Any]) -> None:
        answer.write(json.dumps(change) + "\n")
        answer.flush()

    with closing(Session(database_of(settings, None), PATIENCE_SECONDS)) as session:
        registry = registry_of(settings, session)
        if registry is not None and registry.digest is None:
            try:
                work(registry, session, json.loads(state), tell, compiled=settings.scorer == "compiled")
            except Unavailable as error:
                tell({})  # the model that scored is not to blame
                sys.exit(f"the database is away ({error.reason})")


if __name__ == "__main__":
    _main(*sys.argv[1:])
