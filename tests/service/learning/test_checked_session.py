"""Every transaction of a checked session begins with the check that the job is still to be done."""

import pytest

from service.learning.checked_session import CheckedSession
from service.learning.reporter import Cancelled, Reporter
from service.storage.learning.jobs import JobStore
from service.storage.session import Session


def test_nothing_is_written_after_the_job_was_taken(session: Session) -> None:
    taken: list[bool] = []

    def require() -> None:
        if taken:
            raise Cancelled

    checked = CheckedSession(Reporter(lambda share, sentence: None, require, session))
    JobStore(checked).add("one", {}, "me")
    taken.append(True)
    with pytest.raises(Cancelled):
        JobStore(checked).add("other", {}, "me")
    checked.close()

    assert [job.kind for job in JobStore(session).newest(9)] == ["one"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_it_waits_longer_for_other_writers_than_a_request(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("service.storage.session.WriterLock", lambda _, patience: waits.append(patience))

    CheckedSession(Reporter(lambda share, sentence: None, lambda: None, session))

    assert waits == [30.0]
