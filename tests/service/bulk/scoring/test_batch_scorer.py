"""A table is scored by column as POST /predict scores its rows one by one: the same answers and the same faults."""

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serialize import load
from serialize.formats.datetimes import Datetimes
from serialize.signature import Column, Signature
from serialize.task import Task
from service.bulk.cells import of_arrow, of_cell
from service.bulk.ids import IdChecker
from service.bulk.scoring.batch_scorer import BatchScorer
from service.bulk.scoring.checked_column import ColumnChecker
from service.bulk.scoring.layout import Layout
from service.bulk.scoring.object_scorer import ObjectScorer
from service.bulk.scoring.observed_rows import ObservationTexts
from service.bulk.scoring.scored import ScoredBatch
from service.errors import InvalidBody
from service.prediction.artifact_scorer import scorer_of
from service.prediction.observation import Observation, ObservationParser, canonical
from service.prediction.scoring import Scorer
from tests.support.passengers import ARTIFACTS, PASSENGER

ARTIFACT = load(ARTIFACTS)
SIGNATURE = ARTIFACT.manifest.signature
SCORERS = {name: scorer_of(ARTIFACT, compiled=name == "compiled") for name in ("compiled", "pipeline")}
ALONE = Layout()
PARSER = ObservationParser(SIGNATURE)
TEXTS = {
    "Age": ["20", " 30 ", "", "NA", "1e1", "-3", "130", "x", "nan", "0x10", "٣"],
    "Fare": ["7.25", "", "512", "inf", "1e999", "+5", ".5"],
    "Pclass": ["3", "3.0", "9", "", "1", "9007199254740993"],
    "SibSp": ["0", "1.0", "2.5", "", "-1"],
    "Parch": ["0", "1", "NA"],
    "Sex": ["male", "female", "x", "", "NA"],
    "Cabin": ["C85", "", "NA", "A" * 2000, "a\0b"],
    "Embarked": ["S", "C", "", "Z", "NA"],
}
VALUES: dict[str, list[Any]] = {
    "Age": [20.0, 0.42, None, 200.0, -1.0, float("nan"), float("inf")],
    "Fare": [7.25, None, 1e300, 0.0],
    "Pclass": [1, 3, None, 9, 2**60],
    "SibSp": [0.0, 1.0, 2.5, None],
    "Parch": [0, None, -1],
    "Sex": ["male", None, "", "other"],
    "Cabin": ["C85", None, "x" * 2000, ""],
    "Embarked": ["S", "Q", None, "?"],
}
TYPES = {"Pclass": pa.int64(), "SibSp": pa.float64(), "Parch": pa.int16(), "Sex": pa.large_string()}


def rows_of(pools: dict[str, list[Any]]) -> st.SearchStrategy[list[dict[str, Any]]]:
    row = st.fixed_dictionaries({name: st.sampled_from([values[0]] * 4 + values) for name, values in pools.items()})
    return st.lists(row, min_size=1, max_size=40)


def compare(found: ScoredBatch, observations: list[dict[str, Any]], scorer: Scorer) -> None:
    """Compares a scored batch with the parser and the scorer of POST /predict, row by row."""
    right: dict[int, Observation] = {}
    for place, row in enumerate(observations):
        try:
            right[place] = Observation(0, "0", PARSER.values(row), "")
        except InvalidBody as error:
            assert [fault.to_json() for fault in found.faults[place]] == [fault.to_json() for fault in error.faults]
    assert found.places.tolist() == list(right)
    assert sorted(found.faults) == [place for place in range(len(observations)) if place not in right]
    scores = scorer.score(list(right.values())) if right else []
    assert found.scores.numbers.tolist() == pytest.approx([score.proba for score in scores], abs=1e-12)
    classes = [ARTIFACT.manifest.task.classes[index] for index in found.scores.class_indices.tolist()]
    assert classes == [score.predicted_class for score in scores]
    texts = ObservationTexts(found.observed).at(found.places)
    assert texts == [canonical(observation.values) for observation in right.values()]


@pytest.mark.parametrize("scorer", SCORERS)
@given(rows=rows_of(TEXTS))
def test_the_cells_of_csv_are_scored_as_their_values(scorer: str, rows: list[dict[str, str]]) -> None:
    batch = pa.RecordBatch.from_pylist(rows, schema=pa.schema([(name, pa.string()) for name in SIGNATURE.names]))

    found = BatchScorer(SIGNATURE, SCORERS[scorer], Layout()).score(batch, IdChecker(), is_csv=True)

    compare(found, [{one.name: of_cell(one, row[one.name]) for one in SIGNATURE} for row in rows], SCORERS[scorer])


@pytest.mark.parametrize("scorer", SCORERS)
@given(rows=rows_of(VALUES))
def test_the_values_of_arrow_are_scored_as_those_of_json(scorer: str, rows: list[dict[str, Any]]) -> None:
    batch = pa.record_batch({name: pa.array([row[name] for row in rows], TYPES.get(name)) for name in SIGNATURE.names})

    found = BatchScorer(SIGNATURE, SCORERS[scorer], Layout()).score(batch, IdChecker(), is_csv=False)

    compare(found, [{name: of_arrow(row[name]) for name in SIGNATURE.names} for row in rows], SCORERS[scorer])


@given(rows=rows_of({name: [*values, "text", True, [1]] for name, values in VALUES.items()}))
def test_the_lines_of_ndjson_are_scored_as_bodies(rows: list[dict[str, Any]]) -> None:
    rows = [{name: of_arrow(value) for name, value in row.items() if value != float("inf")} for row in rows]

    found = ObjectScorer(SIGNATURE, SCORERS["compiled"], Layout()).score([json.dumps(row).encode() for row in rows])

    compare(found, rows, SCORERS["compiled"])


def scored(columns: dict[str, Any], layout: Layout = ALONE) -> ScoredBatch:
    batch = pa.record_batch(
        {name: values if isinstance(values, pa.Array) else pa.array(values) for name, values in columns.items()}
    )
    return BatchScorer(SIGNATURE, SCORERS["compiled"], layout).score(batch, IdChecker(), is_csv=False)


def columns(rows: int = 2, **changes: Any) -> dict[str, Any]:
    """A passenger so many times, as columns."""
    return {**{name: [value] * rows for name, value in PASSENGER.items()}, **changes}


def pointers(found: ScoredBatch) -> list[list[str]]:
    return [[fault.pointer for fault in found.faults[place]] for place in sorted(found.faults)]


def test_an_unknown_column_is_a_fault_of_each_row_unless_it_is_kept_or_the_id() -> None:
    table = columns(ticket=["a", "b"], number=[5, 6])

    assert pointers(scored(table)) == [["/observation/ticket", "/observation/number"]] * 2

    found = scored(table, Layout("number", ("ticket",)))
    assert found.ids is not None
    assert (found.faults, found.ids.to_pylist(), found.kept["ticket"].to_pylist()) == ({}, [5, 6], ["a", "b"])


def test_a_missing_column_is_a_fault_unless_it_may_be_null() -> None:
    without = {name: values for name, values in columns().items() if name not in ("Cabin", "Sex")}

    found = scored(without)

    assert pointers(found) == [["/observation/Sex"]] * 2
    assert {fault.kind for faults in found.faults.values() for fault in faults} == {"missing column"}


def test_a_column_of_the_model_may_be_the_id_and_be_kept() -> None:
    found = scored(columns(SibSp=[1, 2]), Layout("SibSp", ("Fare",)))

    assert found.ids is not None
    assert (found.ids.to_pylist(), found.kept["Fare"].to_pylist(), found.faults) == ([1, 2], [7.25, 7.25], {})


@pytest.mark.parametrize(
    ("values", "right"),
    [
        (pa.array([1, None, -5], pa.int32()), [0, 2]),
        (pa.array([0, 2**63 - 1, 2**63], pa.uint64()), [0, 1]),
        (pa.array([1.0, 1.5, float("nan"), 2.0**53]), [0]),
        (pa.array(["a", "", "x" * 255, "x" * 256, "\0", None]), [0, 2]),
        (pa.array(["a", "b"]).dictionary_encode(), [0, 1]),
        (pa.array([Decimal("7.0"), Decimal("7.5")]), [0]),
        (pa.array([Decimal(2**53 + 1), Decimal(2**63)]), [0]),
        (pa.array([b"a", b"\xff"]), [0]),
        (pa.array([dt.date(2026, 1, 31), None]), []),
        (pa.array([True, None]), []),
        (pa.array([[1], [2]]), []),
    ],
)
def test_an_id_follows_the_rules_of_a_body(values: pa.Array, right: list[int]) -> None:
    found = scored(columns(len(values), key=values), Layout("key"))

    assert found.places.tolist() == right
    assert {fault.pointer for faults in found.faults.values() for fault in faults} <= {"/id"}


def test_the_faults_of_an_id_and_of_the_observation_are_listed_together() -> None:
    found = scored(columns(key=["", "b"], Age=[-1.0, 5.0]), Layout("key"))

    assert pointers(found) == [["/id", "/observation/Age"]]


@pytest.mark.parametrize(
    ("value", "json_value"),
    [
        (Decimal("2.50"), 2.5),
        (Decimal(3), 3),
        (Decimal("NaN"), None),
        (float("nan"), None),
        ([1, float("nan")], [1, None]),
        ({"a": Decimal(1)}, {"a": 1}),
        (b"ab", "ab"),
        (b"\xff", {"bytes": "b'\\xff'"}),
        (dt.date(2026, 1, 31), {"date": "2026-01-31"}),
        (dt.timedelta(seconds=1), {"timedelta": "0:00:01"}),
    ],
)
def test_a_value_of_arrow_has_one_meaning_in_json(value: Any, json_value: Any) -> None:
    assert of_arrow(value) == json_value


def test_a_date_is_text_for_a_column_of_dates_only() -> None:
    day, text = Column("day", "datetime", False, "object", datetimes=Datetimes("D", None, "date")), SIGNATURE.columns[6]

    assert of_arrow(dt.date(2026, 1, 31), day) == "2026-01-31"
    assert of_arrow(dt.date(2026, 1, 31), text) == {"date": "2026-01-31"}


def test_an_integer_with_hundreds_of_digits_is_a_fault() -> None:
    assert of_cell(SIGNATURE.columns[2], "1" * 400) == "1" * 400


def test_a_decimal_is_the_nearest_float() -> None:
    values = [Decimal(number) / 100 for number in range(1, 12_000)]

    found = ColumnChecker(SIGNATURE.columns[2]).check(pa.array(values, pa.decimal128(18, 2)), is_csv=False)

    assert list(found.values) == [float(value) for value in values]


def test_a_model_that_refuses_one_row_refuses_only_that_row() -> None:
    signature = Signature("frame", (Column("x", "number", False, "float64"),))

    def outputs(rows: Any) -> Any:
        if any(row["x"] == 2.0 for row in rows):
            raise ValueError("two is refused")
        return np.array([[row["x"]] for row in rows])

    def by_column(values: Any) -> Any:
        return outputs([{"x": value} for value in values["x"]])

    scorer = Scorer(Task("regression"), outputs, lambda rows: np.zeros(len(rows), dtype=np.intp), by_column)
    batch = pa.record_batch({"x": pa.array([1.0, 2.0, 3.0])})

    found = BatchScorer(signature, scorer, Layout()).score(batch, IdChecker(), is_csv=False)

    assert (found.places.tolist(), found.scores.numbers.tolist(), pointers(found)) == (
        [0, 2],
        [1.0, 3.0],
        [["/observation"]],
    )


def test_the_models_of_other_tasks_have_their_own_columns(artifacts: dict[str, Path]) -> None:
    for name in ("iris", "diabetes"):
        artifact = load(artifacts[name])
        scorer = scorer_of(artifact, compiled=True)
        golden = artifact.manifest.golden
        rows = [dict(row) for row in golden.observations]
        batch = pa.RecordBatch.from_pylist(rows)

        found = BatchScorer(artifact.manifest.signature, scorer, Layout()).score(batch, IdChecker(), is_csv=False)

        one_by_one = scorer.score([Observation(0, "0", row, "") for row in rows])
        if name == "iris":
            assert found.scores.probas is not None
            assert found.scores.probas.tolist() == [list((one.probas or {}).values()) for one in one_by_one]
        else:
            assert found.scores.numbers.tolist() == [one.predicted_value for one in one_by_one]


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"Age": ["x"]}, "type"),
        ({"Age": [200.0]}, "bounds"),
        ({"Cabin": ["x" * 2000]}, "bounds"),
        ({"Sex": ["other"]}, "category"),
        ({"Sex": pa.array([None], pa.string())}, "null"),
        ({"Pclass": [True]}, "type"),
        ({"ticket": ["a"]}, "unknown column"),
    ],
)
def test_a_fault_has_a_kind_for_the_summary(changes: dict[str, Any], kind: str) -> None:
    found = scored(columns(1, **changes))

    assert [fault.kind for fault in found.faults[0]] == [kind]


def test_codes_with_unused_values_are_scored_as_their_values() -> None:
    """A batch of Parquet has the dictionary of its row group."""
    texts = ["female", None, "male", "odd", "female"]
    codes = pa.DictionaryArray.from_arrays(pa.array([3, None, 1, 0, 3]), pa.array(["odd", "male", "unused", "female"]))

    plain, encoded = (scored(columns(5) | {"Sex": values}) for values in (pa.array(texts), codes))

    assert encoded.places.tolist() == plain.places.tolist() == [0, 2, 4]
    assert encoded.scores.numbers.tolist() == plain.scores.numbers.tolist()
    assert pointers(encoded) == pointers(plain) == [["/observation/Sex"], ["/observation/Sex"]]
