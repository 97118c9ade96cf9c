"""What the tests of serialization share."""

import pytest


@pytest.fixture(autouse=True)
def _few_rows_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives dump little time to score rows alone and in small batches, beyond the sample that it always takes."""
    monkeypatch.setattr("serialize.checks.rows._SECONDS", 0.05)
