"""The arguments of a job become options, or all their faults."""

from datetime import UTC, datetime, timedelta

import pytest

from service.errors import InvalidBody
from service.learning.retraining.candidates import Window
from service.learning.retraining.options import MOST_ROWS, RetrainOptions
from service.storage.learning.rows import RowFilter


def test_no_arguments_are_the_defaults() -> None:
    assert RetrainOptions.of({}) == RetrainOptions() == RetrainOptions.of({"window": None, "guard": [], "ids": None})
    assert RetrainOptions().max_rows == MOST_ROWS


def test_each_argument_is_read() -> None:
    found = RetrainOptions.of({
        "window": "14d", "max_rows": 5000, "holdout": 1000, "ids": "crm-", "since": "2026-01-31", "cluster": "city",
        "until": "2026-02-01T12:00:00Z", "guard": ["sex"], "promote": True, "dry_run": True,
    })  # fmt: skip

    since, until = datetime(2026, 1, 31, tzinfo=UTC), datetime(2026, 2, 1, 12, tzinfo=UTC)
    assert found == RetrainOptions(
        Window(time=timedelta(days=14)), 5000, 1000, RowFilter("crm-", since, until), "city", ("sex",), None, True, True
    )
    assert found.to_json() == {
        "window": "14d", "max_rows": 5000, "ids": "crm-", "since": "2026-01-31T00:00:00+00:00",
        "until": "2026-02-01T12:00:00+00:00", "own_rows": False,
    }  # fmt: skip
    assert RetrainOptions.of({"window": 500}).to_json()["window"] == "500"


def test_all_faults_are_named() -> None:
    wrong = {"window": "2h", "max_rows": 0, "since": "soon", "guard": "sex", "promote": 1, "ids": "", "color": "red"}

    with pytest.raises(InvalidBody) as raised:
        RetrainOptions.of(wrong)

    assert sorted(fault.pointer for fault in raised.value.faults) == sorted(f"/{name}" for name in wrong)
