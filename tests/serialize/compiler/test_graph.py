"""What has no compiled form says so."""

from collections.abc import Callable

import pytest

from serialize.compiler.features import NoCompiledForm
from serialize.compiler.graph import Graph, activated, unlinked


@pytest.mark.parametrize(("part", "name"), [(activated, "swish"), (unlinked, "ProbitLink")], ids=["activation", "link"])
def test_an_unknown_part_has_no_compiled_form(part: Callable[[Graph, str, str], str], name: str) -> None:
    with pytest.raises(NoCompiledForm, match=name):
        part(Graph(), name, "x")
