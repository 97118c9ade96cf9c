"""A process may take most of the memory that is free, in the machine and in its container."""

import subprocess
import sys
from pathlib import Path

import pytest

from service.registry import memory

_LIMIT = 2**31
_SCRIPT = f"""
import resource
resource.setrlimit(resource.RLIMIT_DATA, ({_LIMIT}, {_LIMIT}))
from service.registry import memory
memory._free_of_machine = lambda: 2.0**40
memory.limit_memory()
print(resource.getrlimit(resource.RLIMIT_DATA)[0])
"""


def test_a_limit_that_the_process_was_started_with_is_not_raised() -> None:
    ended = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, check=False)

    assert (ended.stdout, ended.stderr) == (f"{_LIMIT}\n", "")


@pytest.mark.parametrize(
    ("limit", "used", "cache", "free"), [("1000", 900, 300, 400), ("1000", 1100, 0, 0), ("max", 900, 300, float("inf"))]
)
def test_the_cache_of_files_counts_as_free_in_a_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, used: int, cache: int, free: float
) -> None:
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    (tmp_path / "memory.current").write_text(f"{used}\n")
    (tmp_path / "memory.stat").write_text(f"anon 600\ninactive_file {cache}\nactive_file 0\n")

    assert memory._free_of_container() == free


def test_without_a_container_its_memory_is_unlimited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)

    assert memory._free_of_container() == float("inf")
