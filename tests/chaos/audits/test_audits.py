"""The audit finds every lost, duplicate or wrong row, and such a row makes `make chaos` fail."""

import json
from dataclasses import asdict, replace
from typing import Any

import pytest

from serialize import load
from tests.chaos.audits.labels import History, audit_labels
from tests.chaos.audits.rows import Audit, Row, audit
from tests.chaos.outcome import Outcome
from tests.chaos.sender import PASSENGERS, Acknowledged, Labelled
from tests.chaos.table import table, written
from tests.support.passengers import ARTIFACTS


@pytest.fixture(scope="module")
def probas() -> list[float]:
    return [float(proba) for proba in load(ARTIFACTS).model.outputs(PASSENGERS[:3])[:, 1]]


@pytest.fixture
def stored(probas: list[float]) -> list[Row]:
    return [
        (i + 1, json.dumps(f"id-{i}"), probas[i], json.dumps(probas[i] >= 0.5), json.dumps(PASSENGERS[i]))
        for i in range(3)
    ]


@pytest.fixture
def acknowledged(stored: list[Row]) -> list[Acknowledged]:
    return [
        Acknowledged(json.loads(key), i, _answer(id_, key, proba, label), replayed=False)
        for i, (id_, key, proba, label, _) in enumerate(stored)
    ]


def _answer(id_: int, key: str, proba: float, label: str) -> dict[str, Any]:
    answer = {"id": id_, "observation_id": json.loads(key), "proba": proba, "predicted_class": json.loads(label)}
    return {**answer, "true_class": None}


def test_rows_equal_to_their_answers_are_good(acknowledged: list[Acknowledged], stored: list[Row]) -> None:
    found = audit(acknowledged, stored, exact=True)

    assert (found.acknowledged, found.lost, found.duplicated, found.wrong) == (3, 0, 0, 0)


def test_a_row_must_have_the_probability_that_is_expected_of_it(
    acknowledged: list[Acknowledged], stored: list[Row]
) -> None:
    assert audit(acknowledged, stored, expected=lambda row: row[2]).wrong == 0
    assert audit(acknowledged, stored, expected=lambda row: row[2] + 1e-6).wrong == 3
    assert audit(acknowledged, stored, expected=lambda _: None).wrong == 3


def test_an_acknowledged_id_without_a_row_is_lost(acknowledged: list[Acknowledged], stored: list[Row]) -> None:
    assert audit(acknowledged, stored[1:]).lost == 1


def test_a_row_without_an_answer_is_accepted(acknowledged: list[Acknowledged], stored: list[Row]) -> None:
    found = audit(acknowledged[1:], stored)

    assert (found.lost, found.duplicated, found.wrong) == (0, 0, 0)


def test_an_id_with_two_rows_is_duplicated(acknowledged: list[Acknowledged], stored: list[Row]) -> None:
    assert audit(acknowledged, [*stored, (9, *stored[0][1:])]).duplicated == 1


@pytest.mark.parametrize(
    "change", [{"proba": 0.5}, {"id": 77}, {"predicted_class": None}, {"observation_id": "id-2"}], ids=str
)
def test_an_answer_that_differs_from_its_row_is_wrong(
    acknowledged: list[Acknowledged], stored: list[Row], change: dict[str, Any]
) -> None:
    first = replace(acknowledged[0], answer={**acknowledged[0].answer, **change})

    assert audit([first, *acknowledged[1:]], stored).wrong == 1


def test_a_row_with_another_observation_is_wrong(acknowledged: list[Acknowledged], stored: list[Row]) -> None:
    swapped = [(*stored[0][:4], stored[1][4]), *stored[1:]]

    assert audit(acknowledged, swapped).wrong > 0


def test_two_first_answers_are_wrong(acknowledged: list[Acknowledged], stored: list[Row]) -> None:
    assert audit([*acknowledged, acknowledged[0]], stored).wrong == 1
    assert audit([*acknowledged, replace(acknowledged[0], replayed=True)], stored, exact=True).wrong == 0


@pytest.fixture
def labelled(stored: list[Row]) -> list[Labelled]:
    """Two acknowledged labels of the first row."""
    id_, key, proba, label, text = stored[0]
    answer = {**_answer(id_, key, proba, label), "observation": json.loads(text)}
    return [Labelled("id-0", one, {**answer, "true_class": one}) for one in (True, False)]


def _kept(*labels: bool, changes: int = 9) -> dict[str, History]:
    begins = list(range(len(labels)))
    return {json.dumps("id-0"): History([json.dumps(label) for label in labels], begins, begins[1:], changes)}


def _audit_labels(labelled: list[Labelled], stored: list[Row], kept: dict[str, History]) -> tuple[int, int, int]:
    found = Audit()
    audit_labels(found, labelled, stored, kept)
    return found.labels_lost, found.labels_doubled, found.wrong


def test_acknowledged_labels_in_their_order_are_good(labelled: list[Labelled], stored: list[Row]) -> None:
    assert _audit_labels(labelled, stored, _kept(True, False)) == (0, 0, 0)


@pytest.mark.parametrize("kept", [(), (True,)], ids=str)
def test_an_acknowledged_label_that_is_not_kept_is_lost(
    labelled: list[Labelled], stored: list[Row], kept: tuple[bool, ...]
) -> None:
    assert _audit_labels(labelled, stored, _kept(*kept)) == (2 - len(kept), 0, 0)


def test_labels_of_a_missing_row_are_lost(labelled: list[Labelled], stored: list[Row]) -> None:
    assert _audit_labels(labelled, stored[1:], {}) == (2, 0, 0)


@pytest.mark.parametrize("kept", [(True, False), (True, False, True)], ids=str)
def test_a_label_whose_answer_was_lost_may_be_kept(
    labelled: list[Labelled], stored: list[Row], kept: tuple[bool, ...]
) -> None:
    assert _audit_labels([*labelled, Labelled("id-0", True)], stored, _kept(*kept)) == (0, 0, 0)


def test_a_label_that_is_kept_twice_is_doubled(labelled: list[Labelled], stored: list[Row]) -> None:
    assert _audit_labels(labelled, stored, _kept(True, True, False)) == (0, 1, 0)


@pytest.mark.parametrize("kept", [(False, True), (False, False), (True, True)], ids=str)
def test_labels_in_another_order_are_wrong(labelled: list[Labelled], stored: list[Row], kept: tuple[bool, ...]) -> None:
    assert _audit_labels(labelled, stored, _kept(*kept)) == (0, 0, 1)


@pytest.mark.parametrize("change", [{"true_class": None}, {"proba": 0.5}, {"id": 77}, {"observation": {}}], ids=str)
def test_an_answer_of_update_that_differs_from_its_row_is_wrong(
    labelled: list[Labelled], stored: list[Row], change: dict[str, Any]
) -> None:
    labelled[0].answer = {**(labelled[0].answer or {}), **change}

    assert _audit_labels(labelled, stored, _kept(True, False)) == (0, 0, 1)


def test_a_label_that_was_not_sent_is_wrong(stored: list[Row]) -> None:
    assert _audit_labels([], stored, _kept(True)) == (0, 0, 1)


def test_a_label_without_an_entry_for_readers_is_wrong(labelled: list[Labelled], stored: list[Row]) -> None:
    assert _audit_labels(labelled, stored, _kept(True, False, changes=1)) == (0, 0, 1)


@pytest.mark.parametrize(("begins", "ends"), [([0, 2], [1]), ([2, 1], [1])], ids=str)
def test_corrections_that_do_not_follow_each_other_are_wrong(
    labelled: list[Labelled], stored: list[Row], begins: list[int], ends: list[int]
) -> None:
    kept = {json.dumps("id-0"): History(["true", "false"], begins, ends, 9)}

    assert _audit_labels(labelled, stored, kept) == (0, 0, 1)


def outcome(**changes: Any) -> Outcome:
    return replace(Outcome("a fault", "SQLite", 10, 9, 0, 0, 0, recovery=0.5), **changes)


@pytest.mark.parametrize(
    "changes", [{"lost": 1}, {"duplicated": 1}, {"wrong": 1}, {"caught": False, "lost": 0}], ids=str
)
def test_a_loss_or_an_uncaught_control_is_a_failure(changes: dict[str, Any]) -> None:
    assert outcome().is_good
    assert outcome(lost=5, caught=True).is_good
    assert not outcome(**changes).is_good


def test_the_table_replaces_the_text_between_its_markers() -> None:
    result = {
        "machine": {"cpu": "A processor", "cores": 2, "memory_gb": 4},
        "date": "2026-01-31T12:00:00+00:00",
        "outcomes": [asdict(outcome()), asdict(outcome(fault="a control", lost=5, caught=True))],
    }

    document = written("Before.\n<!-- chaos -->\nold\n<!-- /chaos -->\nAfter.\n", result)

    assert "| a fault | SQLite | 10 | 9 | 0 | 0 | 0 | 0.50 |" in document
    assert "| a control (caught) | SQLite | 10 | 9 | 5 | 0 | 0 | 0.50 |" in document
    assert "A processor, 2 cores, 4 GB. Result file: `benchmarks/results/2026-01-31T120000Z.chaos.json`." in document
    assert "old" not in document
    assert written(document, result) == document
    assert table(result["outcomes"]) in document  # type: ignore[arg-type]
