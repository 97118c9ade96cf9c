"""The metrics of learning come from the database: the newest verdict, and the last rollback by the watch."""

from dataclasses import replace
from datetime import UTC, datetime

from service.learning.jobs import Jobs
from service.learning.live_figures import live_figures
from service.learning.watched import BY
from service.storage.learning.jobs import JobStore
from service.storage.models.promotions import Promotions
from service.storage.models.store import INCOMING, ModelStore
from service.storage.session import Session
from tests.service.learning.test_shadow import judged
from tests.service.storage.models.test_promotions import A, B, C, stored


def test_the_newest_verdict_and_the_last_rollback_are_shown(session: Session) -> None:
    for version in (A, B):
        ModelStore(session).add(stored(version))
    promotions, jobs = Promotions(session), Jobs(JobStore(session), lambda: None)
    promotions.promote(A, None, "me@here")
    promotions.promote(B, A, "me@here")
    before = live_figures(jobs, promotions, session)
    assert (before["verdict"], before["rolled_back_at"], before["worker_seen"]) == (None, None, None)

    ModelStore(session).add(replace(stored(C), state=INCOMING))
    judged(session, C)
    assert live_figures(jobs, promotions, session)["verdict"] is None  # its files are not all there
    judged(session, A)
    promotions.promote(A, B, BY, undoes=promotions.newest(1)[0].id)

    after = live_figures(jobs, promotions, session)
    assert after["verdict"] == (A, "not better")
    assert abs(datetime.now(UTC).timestamp() - after["rolled_back_at"]) < 60
