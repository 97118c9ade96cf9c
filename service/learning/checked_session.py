"""A session whose transactions begin with the check that the job is still this process's to do."""

from collections.abc import Callable
from typing import TypeVar

from service.learning.process import PATIENCE_SECONDS
from service.learning.reporter import Reporter
from service.storage.session import Session

Value = TypeVar("Value")


class CheckedSession(Session):
    """The connection of a reporter's session. Every transaction first calls `require` of the reporter, so nothing is
    written for a job that was cancelled or taken; it then raises Cancelled."""

    def __init__(self, reporter: Reporter) -> None:
        super().__init__(reporter.session.database, PATIENCE_SECONDS)
        self._require = reporter.require

    def run(self, work: Callable[[], Value]) -> Value:
        """The same as in a session."""

        def checked() -> Value:
            self._require()
            return work()

        return super().run(checked)
