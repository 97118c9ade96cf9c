"""What the rows of files mean as labels: the same as an item of POST /update, and in CSV what the text means."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serialize.files.formats import FormatName
from serialize.task import Task
from service.bulk.files.rows import Rows
from service.bulk.labels.label_reader import LabelReader, ParsedLabels
from service.bulk.scoring.layout import LayoutError
from service.errors import InvalidBody
from service.prediction.true_label import LabelParser, TrueLabel

BINARY = Task("binary", (False, True), True, 0.5)
STRINGS = Task("binary", ("no", "NA"), "NA", 0.5)
INTEGERS = Task("multiclass", (1, 2, 3))
FLOATS = Task("multiclass", (0.5, 1.0, 2.0))
REGRESSION = Task("regression")
TASKS = {"binary": BINARY, "strings": STRINGS, "integers": INTEGERS, "floats": FLOATS, "regression": REGRESSION}

_ids = st.integers(-(2**63), 2**63 - 1) | st.text(max_size=3) | st.integers() | st.booleans() | st.none()
_labels: Any = st.sampled_from(
    [0, 1, 2, 0.5, 1.0, -0.0, True, False, "no", "NA", "1", None, 1e308, 2**70, [], {"a": 1}]
)


def rows_of(columns: dict[str, Sequence[Any]], types: dict[str, pa.DataType] | None = None) -> Rows:
    arrays = {name: pa.array(values, (types or {}).get(name)) for name, values in columns.items()}
    batch = pa.record_batch(arrays)
    return Rows(batch, np.arange(100, 100 + batch.num_rows), {})


def lines_of(items: Sequence[Any]) -> Rows:
    return rows_of({"line": [json.dumps(item).encode() for item in items]}, {"line": pa.large_binary()})


def read(task: Task, rows: Rows, form: FormatName = "parquet") -> ParsedLabels:
    return LabelReader(task, "id").read(rows, form)


def require_as_posted(task: Task, found: ParsedLabels, items: Sequence[Any]) -> None:
    """The rows with the numbers 100, 101, ... are parsed as these items of POST /update."""
    labels: list[TrueLabel] = []
    numbers: list[int] = []
    faults: dict[int, Any] = {}
    for number, item in enumerate(items, start=100):
        try:
            labels.append(LabelParser(task).parse(item))
            numbers.append(number)
        except InvalidBody as error:
            faults[number] = list(error.faults)
    assert [(one.key, repr(one.label)) for one in found.labels] == [(one.key, repr(one.label)) for one in labels]
    assert list(found.numbers) == numbers
    assert {number: list(ones) for number, ones in found.faults.items()} == faults


@given(st.sampled_from(sorted(TASKS)), st.lists(st.tuples(_ids, _labels), min_size=1, max_size=8), st.integers(0, 8))
def test_lines_are_items_of_a_post(name: str, pairs: list[tuple[Any, Any]], odd: int) -> None:
    task = TASKS[name]
    member = LabelParser(task).name
    items: list[Any] = [{"id": id_, member: label} for id_, label in pairs]
    lines: list[Any] = [{**item, "observation": {}} for item in items]
    if odd < len(items):
        items[odd] = lines[odd] = [{}, [], {"id": 1}, {member: 1}, "x"][odd % 5]

    require_as_posted(task, read(task, lines_of(lines), "ndjson"), items)


@given(st.data())
def test_columns_with_types_are_items_of_a_post(data: st.DataObject) -> None:
    task = TASKS[data.draw(st.sampled_from(sorted(TASKS)))]
    n = data.draw(st.integers(1, 6))
    numbers = st.integers(-(2**63), 2**63 - 1), st.sampled_from([0.0, 1.0, 0.5, -0.0, 1e300, 2.0**53])
    columns = [
        (pa.int64(), st.none() | numbers[0]),
        (pa.int64(), st.sampled_from([0, 1, 2])),
        (pa.float64(), st.none() | numbers[1]),
        (pa.string(), st.none() | st.sampled_from(["no", "NA", "1", "", "x\0"])),
        (pa.bool_(), st.none() | st.booleans()),
        (pa.list_(pa.int64()), st.none() | st.lists(st.integers(0, 2), max_size=2)),
        (pa.null(), st.none()),
    ]
    drawn = {}
    for name in ("id", LabelParser(task).name):
        kind, values = data.draw(st.sampled_from(columns))
        drawn[name] = pa.array(data.draw(st.lists(values, min_size=n, max_size=n)), kind)
    names = tuple(drawn)

    rows = Rows(pa.record_batch(drawn), np.arange(100, 100 + n), {})

    items = [
        dict(zip(names, pair, strict=True)) for pair in zip(*(drawn[name].to_pylist() for name in names), strict=True)
    ]
    require_as_posted(task, read(task, rows), items)


@pytest.mark.parametrize(
    ("task", "cells", "values"),
    [
        (BINARY, ["1", "0.0", "TRUE", "false", "", "yes"], [1, 0, True, False, None, "yes"]),
        (STRINGS, ["no", "NA", "", "None", "No"], ["no", "NA", None, None, "No"]),
        (INTEGERS, ["1", "2.0", " 3", "true", "4", "NaN"], [1, 2, 3, 1, "4", None]),
        (FLOATS, ["0.5", "1", "2e0", "0.25"], [0.5, 1.0, 2.0, "0.25"]),
        (REGRESSION, ["1", "-2.5e1", "", "inf", "1_0", "x"], [1, -25.0, None, "inf", "1_0", "x"]),
    ],
)
def test_a_cell_of_csv_is_the_label_that_its_text_means(task: Task, cells: list[str], values: list[Any]) -> None:
    name = LabelParser(task).name
    rows = rows_of({"id": [str(i) for i in range(len(cells))], name: cells})

    found = read(task, rows, "csv")

    require_as_posted(task, found, [{"id": i, name: value} for i, value in enumerate(values)])


def test_ids_of_csv_are_integers_if_the_first_ones_are() -> None:
    reader = LabelReader(BINARY, "id")

    first = reader.read(rows_of({"id": ["7", "8"], "true_class": ["1", "1"]}), "csv")
    second = reader.read(rows_of({"id": ["9", "a"], "true_class": ["1", "x"]}), "csv")

    assert [label.key for label in (*first.labels, *second.labels)] == ["7", "8", "9"]
    assert [(fault.pointer, fault.kind) for fault in second.faults[101]] == [("/id", "id"), ("/true_class", "value")]
    texts = LabelReader(BINARY, "id").read(rows_of({"id": ["007", "8"], "true_class": ["1", "1"]}), "csv")
    assert [label.key for label in texts.labels] == ['"007"', '"8"']


def test_dictionaries_are_read_as_their_values() -> None:
    batch = pa.record_batch({
        "id": pa.array(["a", "b", None, "a"]).dictionary_encode(),
        "true_class": pa.array(["NA", "no", "no", None]).dictionary_encode(),
    })  # fmt: skip

    found = read(STRINGS, Rows(batch, np.array([3, 5, 6, 8]), {}))

    assert [(label.key, label.label) for label in found.labels] == [('"a"', "NA"), ('"b"', "no")]
    assert list(found.numbers) == [3, 5]
    assert {number: [fault.kind for fault in faults] for number, faults in found.faults.items()} == {
        6: ["id"],
        8: ["null"],
    }


def test_a_line_that_is_not_json_is_a_fault() -> None:
    rows = rows_of({"line": [b'{"id": 1, "true_class": 1}', b'{"id": 1', b'{"id": 1, "id": 2, "true_class": 1}']})

    found = read(BINARY, rows, "ndjson")

    assert list(found.numbers) == [100]
    assert [(number, fault.kind) for number, (fault,) in found.faults.items()] == [
        (101, "malformed"),
        (102, "malformed"),
    ]


@pytest.mark.parametrize(
    ("columns", "option"), [(("key", "true_class"), "--id id"), (("id", "y"), "--true-class true_class")]
)
def test_a_column_that_is_missing_is_named(columns: tuple[str, str], option: str) -> None:
    with pytest.raises(LayoutError, match=option):
        read(BINARY, rows_of({name: [1] for name in columns}))
