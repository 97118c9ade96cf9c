"""A kind names its function, which is imported only where the work is done."""

import pytest

from service.learning.kinds import KINDS, UnknownKind, kind_of
from tests.support import own_kinds


def test_a_kind_is_found_by_its_name() -> None:
    assert kind_of("count", own_kinds.KINDS) is own_kinds.count


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(UnknownKind, match="of the kind unknown"):
        kind_of("unknown", KINDS)
