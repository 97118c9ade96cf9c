"""The rows of a user's file become observations in the types of the model, or one sentence says what to give."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from serialize.recipes.csv_file import CsvFile
from serialize.signature import Column, Signature
from serialize.task import Task
from service.cli.data import DataError, OwnRows, read_rows

BINARY, REGRESSION = Task("binary", (False, True), True, 0.5), Task("regression")
SIGNATURE = Signature(
    "frame",
    (
        Column("zip", "text", True, "str"),
        Column("rooms", "integer", True, "Int64"),
        Column("size", "number", True, "float64"),
        Column("balcony", "boolean", True, "object"),
        Column("kind", "category", True, "str", categories=("NA", "flat")),
        Column("floor", "category", False, "int64", categories=(1, 2)),
    ),
)
HEADER = "zip,rooms,size,balcony,kind,floor,sold\n"
ROW = {"zip": "00012", "rooms": 3, "size": 60.0, "balcony": True, "kind": "flat", "floor": 1}


def read(tmp_path: Path, content: str | bytes, task: Task = BINARY, name: str = "own.csv", **options: Any) -> OwnRows:
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    target = options.pop("target", "sold")
    return read_rows(CsvFile(tmp_path / name, **options), target, task, SIGNATURE)


def the_first(rows: OwnRows) -> dict[str, Any]:
    """The first observation with the types of its values, because 1 == 1.0 == True."""
    return {name: (type(value), value) for name, value in rows.observations[0].items()}


def typed(**changes: Any) -> dict[str, Any]:
    return {name: (type(value), value) for name, value in {**ROW, **changes}.items()}


@pytest.mark.parametrize(
    ("row", "changes"),
    [
        ("00012,3,60,True,flat,1,1", {}),
        ("00012,3.0,60.0,true,flat,1.0,1", {}),
        ("00012,003,6e1,1,flat,01,1", {}),
        ("12,3,60,0,NA,2,1", {"zip": "12", "balcony": False, "kind": "NA", "floor": 2}),
        (",,,,,1,1", dict.fromkeys(["zip", "rooms", "size", "balcony", "kind"])),
        ("NA,nan,null,None,None,1,1", dict.fromkeys(["zip", "rooms", "size", "balcony", "kind"])),
        ("00012,9007199254740993,60,True,flat,1,1", {"rooms": 9007199254740993}),
    ],
)
def test_the_cells_of_a_csv_file_get_the_types_of_the_columns(
    tmp_path: Path, row: str, changes: dict[str, Any]
) -> None:
    assert the_first(read(tmp_path, f"{HEADER}{row}\n")) == typed(**changes)


@pytest.mark.parametrize(
    "changes", [{"rooms": "many"}, {"rooms": "3.5"}, {"size": "1_000"}, {"size": "inf"}, {"balcony": "yes"}]
)
def test_a_value_of_another_type_is_left_to_the_service(tmp_path: Path, changes: dict[str, str]) -> None:
    good = "00012,3,60,True,flat,1,1\n"
    odd = {**{name: str(value) for name, value in ROW.items()}, **changes}

    rows = read(tmp_path, f"{HEADER}{','.join(odd.values())},1\n{good}")

    (name,) = changes
    assert rows.observations[0][name] == {"3.5": 3.5}.get(changes[name], changes[name])


def test_parquet_and_ndjson_files_are_read_too(tmp_path: Path) -> None:
    table = pd.DataFrame([{**ROW, "sold": 1}, {**ROW, "rooms": None, "sold": 0}])
    table.to_parquet(tmp_path / "made.parquet")
    lines = "\n".join(json.dumps(row) for row in [{**ROW, "sold": True}, {**ROW, "rooms": None, "sold": False}])

    parquet = read(tmp_path, (tmp_path / "made.parquet").read_bytes(), name="own.parquet")
    ndjson = read(tmp_path, lines + "\n\n", name="own.ndjson")

    assert the_first(parquet) == the_first(ndjson) == typed()
    assert parquet.observations[1]["rooms"] is ndjson.observations[1]["rooms"] is None
    assert list(parquet.targets) == list(ndjson.targets) == [True, False]


def test_a_date_is_passed_through_as_text(tmp_path: Path) -> None:
    table = pd.DataFrame([{**ROW, "zip": pd.Timestamp("2026-01-02 03:04:05"), "sold": 1}])
    table.to_parquet(tmp_path / "made.parquet")

    rows = read(tmp_path, (tmp_path / "made.parquet").read_bytes(), name="own.parquet")

    assert rows.observations[0]["zip"] == "2026-01-02T03:04:05"


@pytest.mark.parametrize(
    ("task", "cells", "labels"),
    [
        (BINARY, ["0", "1", "0.0", "true", "FALSE", ""], [False, True, False, True, False, None]),
        (Task("binary", (0, 2), 2, 0.5), ["0", "2.0", "NA"], [0, 2, None]),
        (Task("multiclass", ("1", "01", "NA")), ["1", "01", "NA", ""], ["1", "01", "NA", None]),
        (REGRESSION, ["1", "2.5", "", "-3e2"], [1, 2.5, None, -300]),
    ],
)
def test_the_labels_are_those_of_the_model(tmp_path: Path, task: Task, cells: list[str], labels: list[Any]) -> None:
    rows = read(tmp_path, HEADER + "".join(f"00012,3,60,True,flat,1,{cell}\n" for cell in cells), task)

    assert [(type(label), label) for label in rows.targets] == [(type(label), label) for label in labels]


def test_other_columns_are_named_and_without_a_target_nothing_is_labelled(tmp_path: Path) -> None:
    rows = read(tmp_path, "id," + HEADER + "7,00012,3,60,True,flat,1,1\n", target=None)

    assert (list(rows.ignored), list(rows.targets)) == (["id", "sold"], [None])


def test_rows_are_chosen_in_random_order_and_once_each(tmp_path: Path) -> None:
    rows = read(tmp_path, HEADER + "".join(f"{i:05},3,60,True,flat,1,{i % 2}\n" for i in range(50)))

    some, same, other = rows.choose(60), rows.choose(60), rows.choose(60, seed=1)

    zips = [int(row["zip"]) for row in some.observations]
    assert sorted(zips) == list(range(50)) != zips
    assert some == same != other
    assert some.targets == [number % 2 == 1 for number in zips]


@pytest.mark.parametrize(
    ("content", "name", "says"),
    [
        (
            "zip,sold\n00012,1\n",
            "own.csv",
            "has no column 'rooms', 'size', 'balcony', 'kind', 'floor', which the model",
        ),
        (
            HEADER.replace(",sold", "") + "1,1,1,1,flat,1\n",
            "own.csv",
            "no column 'sold'; --target is one of zip, rooms",
        ),
        (HEADER + "1,1,1,1,flat,1,maybe\n", "own.csv", 'sold is "maybe" in a row of .*; the model knows false, true'),
        (HEADER + "1,1,1,1,flat,9,1\n" * 2, "own.csv", "No row of .* fits the model; in the first row floor: expected"),
        (HEADER, "own.csv", "has a header but no rows"),
        (HEADER.replace(",", ";") + "1;1\n", "own.csv", "has no column 'zip'.*; give a file with zip, rooms"),
        (b"\xff\xfe", "own.csv", "cannot be read as CSV"),
        ("[1]\n", "own.ndjson", "does not hold one JSON object per line"),
        ("{", "own.jsonl", "own.jsonl cannot be read: "),
        ("", "own.ndjson", "does not hold one JSON object per line"),
        ("no parquet", "own.parquet", "own.parquet cannot be read: "),
    ],
)
def test_a_file_that_does_not_fit_is_refused_in_one_sentence(
    tmp_path: Path, content: Any, name: str, says: str
) -> None:
    with pytest.raises(DataError, match=says) as refused:
        read(tmp_path, content, name=name)
    assert "\n" not in str(refused.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    for name in ("no.csv", "no.parquet", "no.ndjson"):
        with pytest.raises(DataError, match=f"{name} cannot be read"):
            read_rows(CsvFile(tmp_path / name), "sold", BINARY, SIGNATURE)


def test_a_damaged_parquet_file_is_refused(tmp_path: Path) -> None:
    pd.DataFrame([{**ROW, "sold": 1}] * 50).to_parquet(tmp_path / "made.parquet")
    content = bytearray((tmp_path / "made.parquet").read_bytes())
    content[20:60] = b"\xff" * 40

    with pytest.raises(DataError, match=r"own\.parquet cannot be read: ") as refused:
        read(tmp_path, bytes(content), name="own.parquet")
    assert "\n" not in str(refused.value)


def test_a_target_of_text_is_refused_by_a_regression(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r'sold is "much" in a row of .*; the model knows finite numbers'):
        read(tmp_path, HEADER + "1,1,1,1,flat,1,much\n", REGRESSION)


def test_a_file_may_have_another_separator_and_encoding(tmp_path: Path) -> None:
    content = (HEADER + "Köln,3,60,True,flat,1,1\n").replace(",", ";").encode("cp1252")

    assert the_first(read(tmp_path, content, sep=";", encoding="cp1252")) == typed(zip="Köln")
