"""The newest promotion is watched for 14 days, and no program promotes again what the watch rolled back."""

from datetime import UTC, datetime, timedelta

import pytest

from service.learning.watched import BY, may_promote_automatically, watched
from service.storage.models.promotions import Promotions
from service.storage.models.store import ModelStore
from service.storage.session import Session
from tests.service.storage.models.test_promotions import A, B, C, stored


@pytest.fixture
def promotions(session: Session) -> Promotions:
    """A is the champion, and B was promoted after it."""
    for version in (A, B, C):
        ModelStore(session).add(stored(version))
    found = Promotions(session)
    found.promote(A, None, "me@here")
    return found


def now() -> datetime:
    return datetime.now(UTC)


def test_a_promotion_is_watched_for_14_days_whoever_promoted(promotions: Promotions) -> None:
    promotions.release(B, "machine", "release@here")
    (entry,) = promotions.newest(1)

    found = watched(promotions, now())

    assert found is not None
    assert (found.promotion, found.champion, found.previous, found.since) == (entry.id, B, A, entry.promoted_at)
    assert watched(promotions, entry.promoted_at + timedelta(days=14)) == found
    assert watched(promotions, entry.promoted_at + timedelta(days=14, seconds=1)) is None


def test_neither_the_first_champion_nor_a_rollback_is_watched(promotions: Promotions) -> None:
    assert watched(promotions, now()) is None
    promotions.promote(B, A, "me@here")
    promotions.promote(A, B, "me@here", undoes=promotions.newest(1)[0].id)
    assert watched(promotions, now()) is None
    promotions.promote(C, A, "me@here")
    assert watched(promotions, now()) is not None


@pytest.mark.parametrize("by", ["me@here", BY])
def test_no_program_promotes_what_was_rolled_back(promotions: Promotions, by: str) -> None:
    promotions.promote(B, A, "me@here")
    assert may_promote_automatically(promotions, B)
    promotions.promote(A, B, by, undoes=promotions.newest(1)[0].id)

    assert not may_promote_automatically(promotions, B)
    assert may_promote_automatically(promotions, A)
    assert may_promote_automatically(promotions, C)
    promotions.promote(B, A, "me@here")  # a person may
    assert not may_promote_automatically(promotions, B)
