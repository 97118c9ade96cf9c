"""A registry in an empty database of each kind."""

import pytest

from service.registry.registry import Registry
from service.storage.models.promotions import Promotions
from service.storage.models.store import ModelStore
from service.storage.session import Session

KEY = "k" * 32
_MAX_BYTES = 256 * 1024 * 1024


@pytest.fixture
def registry(session: Session) -> Registry:
    """A registry whose models are signed with KEY, and whose proof accepts every model."""
    return Registry(ModelStore(session), Promotions(session), (KEY,), _MAX_BYTES, lambda _: {})
