"""Promises 1 and 2 hold during every fault. These runs are short; `make chaos` has long ones."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.cases import Case, cases
from tests.chaos.cluster import Cluster, cluster
from tests.chaos.outcome import SHORT

pytestmark = [pytest.mark.alone, pytest.mark.long, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder, cluster(Path(folder) / "cluster") as running:
        yield running


@pytest.mark.parametrize("case", cases(at_length=False), ids=lambda case: case.name)
def test_nothing_is_lost_stored_twice_or_wrong_and_a_control_is_caught(
    own_cluster: Cluster, tmp_path: Path, case: Case
) -> None:
    outcome = case.run(own_cluster, tmp_path, SHORT)

    assert outcome.sent > 0
    assert outcome.acknowledged > 0
    assert outcome.is_good, outcome
