"""A registry in an empty database of each kind."""

from pathlib import Path

import pytest

from serialize.content import Content, read_content
from service.registry.registry import Registry
from service.storage.models.promotions import Promotions
from service.storage.models.store import ModelStore
from service.storage.session import Session

KEY, OTHER = "k" * 32, "o" * 32
_MAX_BYTES = 256 * 1024 * 1024


@pytest.fixture
def registry(session: Session) -> Registry:
    """A registry whose models are signed with KEY, and whose proof accepts every model."""
    return Registry(ModelStore(session), Promotions(session), (KEY,), _MAX_BYTES, lambda _: {})


@pytest.fixture(scope="module")
def models(artifacts: dict[str, Path]) -> dict[str, Content]:
    """A model of each task."""
    return {name: read_content(artifacts[name]) for name in ("titanic", "iris", "diabetes")}
