"""Whatever is installed is the very file that was resolved: each requirement has its version and its hashes."""

import re

import pytest

from tests.passengers import PROJECT


def pins(name: str) -> dict[str, str]:
    """The requirements of a file, each with all that is said of it."""
    text = re.sub(r"^ *#.*\n", "", (PROJECT / name).read_text(), flags=re.MULTILINE).replace("\\\n", "")
    return {line.partition("==")[0]: line for line in text.splitlines() if line}


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_is_pinned_and_hashed(name: str) -> None:
    listed = pins(name)

    assert len(listed) > 30
    for line in listed.values():
        assert re.fullmatch(r"[a-z0-9.-]+==[^ ]+ ( +--hash=sha256:[0-9a-f]{64} *)+", line), line


def test_the_tests_run_with_what_is_deployed() -> None:
    deployed, tested = pins("requirements.txt"), pins("requirements-dev.txt")

    assert {name: tested.get(name) for name in deployed} == deployed


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_no_index_is_named(name: str) -> None:
    assert not re.search(r"^ *--(?!hash)|://", (PROJECT / name).read_text(), flags=re.MULTILINE)
