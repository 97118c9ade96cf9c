"""Attempts are counted from the last promotion on, and those that compared nothing are none."""

import json
from dataclasses import replace
from datetime import datetime, timedelta

from service.learning.retraining.attempts import Attempt, judged_by, next_attempt, waiting_challenger
from service.storage.models.promotions import Promoted
from service.storage.models.store import INCOMING, StoredModel
from tests.support.logged import START

DAY = timedelta(days=1)


def judged(at: datetime, outcome: str = "not better", attempt: int = 1) -> StoredModel:
    verdict = json.dumps({"outcome": outcome, "judged_at": at.isoformat(), "figures": {"attempt": attempt}})
    return StoredModel("a" * 12, "churn", 3, b"", "", "registered", at, "me", None, None, None, verdict)


def promoted(at: datetime) -> Promoted:
    return Promoted(1, None, "a" * 12, at, "me", None, None, None)


def test_the_first_attempt_has_none_before_it() -> None:
    unjudged = StoredModel("a" * 12, "churn", 3, b"", "", "registered", START, "me", None, None)

    assert next_attempt([unjudged], [promoted(START)]) == Attempt(1, None)


def test_attempts_count_from_the_last_promotion() -> None:
    models = [judged(START + number * DAY) for number in range(4)]

    assert next_attempt(models, []) == Attempt(5, START + 3 * DAY)
    assert next_attempt(models, [promoted(START), promoted(START + 2 * DAY)]) == Attempt(2, START + 3 * DAY)
    assert next_attempt(models, [promoted(START + 9 * DAY)]) == Attempt(1, START + 3 * DAY)


def test_a_model_that_was_judged_again_counts_for_all_its_attempts() -> None:
    assert next_attempt([judged(START, attempt=3), judged(START - DAY)], []) == Attempt(4, START)


def test_a_verdict_that_compared_nothing_is_no_attempt() -> None:
    assert next_attempt([judged(START, "not enough")], []) == Attempt(1, None)


def test_a_retraining_that_was_killed_while_it_stored_the_challenger_is_no_attempt() -> None:
    killed = replace(judged(START), state=INCOMING)

    assert next_attempt([killed], []) == Attempt(1, None)
    assert next_attempt([killed, judged(START - DAY)], []) == Attempt(2, START - DAY)


def test_a_job_knows_the_verdict_that_it_stored() -> None:
    by_command = judged(START)
    by_job = replace(by_command, verdict=json.dumps({"outcome": "not better", "job": 7}))

    assert judged_by([by_command, by_job], 7) == by_job
    assert judged_by([by_command, by_job], 8) is None
    assert judged_by([replace(by_job, state=INCOMING)], 7) is None


def challenger(version: str, outcome: str, champion: str = "c" * 12) -> StoredModel:
    verdict = json.dumps({"outcome": outcome, "judged_at": START.isoformat(), "champion": champion})
    return StoredModel(version, "churn", 3, b"", "", "registered", START, "me", None, None, None, verdict)


def test_a_challenger_that_was_better_waits_for_its_promotion() -> None:
    better, worse = challenger("b" * 12, "better"), challenger("d" * 12, "not better")

    assert waiting_challenger([better, worse], [], "c" * 12) == better
    assert waiting_challenger([worse, better], [], "c" * 12) is None
    assert waiting_challenger([better], [], "e" * 12) is None
    promoted_before = Promoted(1, None, "b" * 12, START, "me", None, None, None)
    assert waiting_challenger([better], [promoted_before], "c" * 12) is None
