"""What the benchmark of the kinds of pipelines measures and shows."""

from typing import Any

import pytest
from click.testing import CliRunner

from benchmarks import result
from benchmarks.models.kinds import main
from benchmarks.models.table import kinds
from tests.support.kinds.table import KINDS

SAID = "Of 3 kinds 2 have a program, and 1 of these need no pandas."


def kind(name: str, **more: Any) -> dict[str, Any]:
    return {
        "group": "Estimators",
        "name": name,
        "reason": None,
        "native": [],
        "pandas": False,
        "difference": 2.2e-16,
        "microseconds": {"pipeline": 3000.0, "program": 20.0},
        "per_second": {"pipeline": 300_000.0, "program": 600_000.0},
        **more,
    }


RESULT: dict[str, Any] = {
    "subject": "kinds",
    "date": "2026-01-31T12:00:00+00:00",
    "machine": {"cpu": "A processor", "cores": 2, "memory_gb": 4},
    "versions": {"service": {"python": "3.11.7"}},
    "settings": {"rounds": 3, "rows": 10_000, "seconds": 0.05},
    "kinds": [
        kind("logistic regression"),
        kind("own class", native=["Own"], pandas=True, difference=0.0, microseconds={"pipeline": 900, "program": 300}),
        kind(
            "odd",
            group="Texts",
            reason="It has no program (why).",
            microseconds={"pipeline": 50.0},
            per_second={"pipeline": 9.0},
        ),
    ],
}


def test_the_table_compares_each_kind_with_its_pipeline_and_counts_those_without_pandas() -> None:
    lines = kinds(RESULT).splitlines()

    assert lines[2] == "| **Estimators** |  |  |  |  |"
    assert lines[3] == "| logistic regression |  | 3,000 / 20 | 300,000 / 600,000 | 2e-16 |"
    assert lines[4] == "| own class | Own | 900 / 300 | 300,000 / 600,000 | 0 |"
    assert lines[6] == "| odd | no program: It has no program (why). | 50 / - | 9 / - | - |"
    assert SAID in lines[-1]
    assert "are 3.0 to 150 times as fast as the pipelines" in lines[-1]


@pytest.mark.long  # fits several models
def test_a_short_run_measures_each_kind_of_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    written: dict[str, Any] = {}
    monkeypatch.setattr(
        "benchmarks.models.kinds.GROUPS",
        {"Estimators": {name: KINDS[name] for name in ("logistic regression", "own class of a frame")}},
    )
    monkeypatch.setattr(
        result, "write", lambda subject, found: written.update(found, subject=subject) or result.RESULTS
    )

    outcome = CliRunner().invoke(main, ["--rounds", "1", "--rows", "100", "--seconds", "0"], catch_exceptions=False)

    assert outcome.exit_code == 0
    assert [(one["name"], one["native"]) for one in written["kinds"]] == [
        ("logistic regression", []),
        ("own class of a frame", ["GroupMeans"]),
    ]
    assert [one["pandas"] for one in written["kinds"]] == [False, True]
    assert all(
        one["difference"] < 1e-12 and set(one["per_second"]) == {"pipeline", "program"} for one in written["kinds"]
    )
    assert "logistic regression |  |" in kinds({**RESULT, **written, "date": RESULT["date"]})
