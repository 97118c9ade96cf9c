"""A table with a target column becomes a recipe, or the error says what to correct."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from distributed import Client

from benchmarks.bulk.cluster import Cluster, cluster
from serialize import DumpError, load
from serialize.__main__ import main
from serialize.recipes.csv import ModelName, from_csv, remarks
from serialize.recipes.csv_file import CsvFile
from serialize.recipes.recipe import Recipe
from serialize.training import cluster as connection
from tests.service.bulk.stored import put
from tests.support.moto import S3

RNG = np.random.default_rng(0)
ROWS = 60
AGES = RNG.normal(40, 10, ROWS)
MODELS: tuple[ModelName, ...] = ("logistic", "forest", "boosting")
TABLE = pd.DataFrame(
    {
        "age (years)": np.where(RNG.random(ROWS) < 0.2, np.nan, AGES),
        "has.cabin": RNG.random(ROWS) < 0.5,
        "vip": np.array([True, False, None], dtype=object)[RNG.integers(0, 3, ROWS)],
        "rank": pd.Series(RNG.integers(1, 4, ROWS), dtype="Int64").mask(pd.Series(RNG.random(ROWS) < 0.2)),
        "port/é": np.array(["C", "Q", None], dtype=object)[RNG.integers(0, 3, ROWS)],
        "void": [None] * ROWS,
        "said__so": [" ".join(RNG.choice(["red", "green", "sea", "dog"], 6)) for _ in range(ROWS)],
    }
)


def recipe(tmp_path: Path, X: Any, y: Any, **options: Any) -> Recipe:
    path = tmp_path / "table.csv"
    pd.DataFrame(X).assign(target=y).to_csv(path, index=False)
    return from_csv(path, "target", **options)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("target", [AGES > 40, AGES], ids=["classes", "numbers"])
def test_every_model_takes_columns_of_every_kind(tmp_path: Path, model: ModelName, target: Any) -> None:
    made = recipe(tmp_path, TABLE, target, model=model)

    fitted = made.pipeline.fit(made.X, made.y)

    assert made.name == "table"
    assert list(made.X.columns) == list(TABLE.columns)
    assert np.isfinite(fitted.predict(made.X)).all()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("column", ["has.cabin", "vip", "said__so", "port/é"])
def test_one_column_is_enough(tmp_path: Path, model: ModelName, column: str) -> None:
    made = recipe(tmp_path, TABLE[[column]], AGES > 40, model=model)

    assert len(made.pipeline.fit(made.X, made.y).predict_proba(made.X)) == ROWS


@pytest.mark.parametrize(
    ("target", "labels"),
    [
        (AGES > 40, {False, True}),
        ((AGES > 40) * 1, {False, True}),
        ((AGES > 40) * 1.0, {False, True}),
        (np.where(AGES > 40, "old", "young"), {"old", "young"}),
        ((AGES > 40) + 1, {1, 2}),
        ((AGES > 40) + 1.0, {1, 2}),
        (np.arange(ROWS) % 20, set(range(20))),
    ],
)
def test_a_target_of_few_labels_is_a_classification(tmp_path: Path, target: Any, labels: set[Any]) -> None:
    y = recipe(tmp_path, TABLE, target).y

    assert set(y.unique().tolist()) == labels
    assert {type(label) for label in y.unique().tolist()} == {type(label) for label in labels}


@pytest.mark.parametrize("target", [AGES, np.arange(ROWS), (AGES > 40) * 0.5])
def test_a_target_of_many_or_broken_numbers_is_a_regression(tmp_path: Path, target: Any) -> None:
    made = recipe(tmp_path, TABLE, target)

    assert not hasattr(made.pipeline.fit(made.X, made.y), "predict_proba")


def test_the_task_may_be_given(tmp_path: Path) -> None:
    made = recipe(tmp_path, TABLE, np.arange(ROWS) % 3, task="regression")

    assert not hasattr(made.pipeline.fit(made.X, made.y), "predict_proba")
    with pytest.raises(DumpError, match="'target' holds no numbers; choose the task classification"):
        recipe(tmp_path, TABLE, ["a", "b"] * 30, task="regression")


@pytest.mark.parametrize(
    ("target", "said", "label"),
    [
        (["yes", "no"], "no", "no"),
        (["1st", "001"], "001", "001"),
        ([0, 1], "0", False),
        ([True, False], "True", True),
        ([3, 7], "7", 7),
        ([3, 7], 7, 7),
        (["yes", "no"], "maybe", "maybe"),
    ],
)
def test_the_positive_class_may_be_given_as_text(tmp_path: Path, target: list[Any], said: Any, label: Any) -> None:
    positive = recipe(tmp_path, TABLE, target * 30, positive_class=said).positive_class

    assert (positive, type(positive)) == (label, type(label))


def test_dropped_columns_are_not_features(tmp_path: Path) -> None:
    made = recipe(tmp_path, TABLE, AGES, drop=["void", "vip"])

    assert not {"void", "vip", "target"} & set(made.X.columns)


def test_the_logistic_regression_ignores_a_null_and_an_unseen_category(tmp_path: Path) -> None:
    made = recipe(tmp_path, TABLE[["port/é"]], AGES > 40)
    fitted = made.pipeline.fit(made.X, made.y)

    null, unseen, seen = fitted.predict_proba(pd.DataFrame({"port/é": [None, "never", "C"]}))[:, 1]

    assert null == unseen != seen


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read as CSV: .*No such file"),
        ("", "cannot be read as CSV: No columns"),
        ("a,target\n", "has a header but no rows"),
        ("a,b\n1,2\n", "has no column 'target'; its columns are a, b"),
        ("a;target\n1;2\n", "its columns are a;target; if they should be several, give their separator with --sep"),
        ("a,a,target\n1,2,0\n", "has two columns called 'a'; rename one"),
        ("a,target\n1,2,0\n3,4,1\n", "more values than its header has names"),
        ("a,target\n1,2\n1,2,3,4\n", "cannot be read as CSV: .*Expected 2 fields"),
        ("a,target\n1,0\n2,\n", "'target' is null in 1 rows of .*; remove these rows, or leave them out with --drop"),
        ("target\n1\n0\n", "no column except 'target' to learn from; drop fewer columns"),
        (b"\xff\xfe\x00", "cannot be read as CSV: 'utf-8' codec .*; give its encoding, such as --encoding cp1252"),
    ],
)
def test_a_file_without_a_usable_table_is_refused(tmp_path: Path, content: Any, says: str) -> None:
    path = tmp_path / "table.csv"
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    with pytest.raises(DumpError, match=says) as refused:
        from_csv(path, "target")
    assert "\n" not in str(refused.value)


def test_a_missing_column_to_drop_is_named(tmp_path: Path) -> None:
    with pytest.raises(DumpError, match="has no column 'nothing'"):
        recipe(tmp_path, TABLE, AGES, drop=["nothing"])


def test_only_identifiers_and_constants_are_reported() -> None:
    X = TABLE.assign(id=range(ROWS), name=[f"p{number}" for number in range(ROWS)], one=1, age=AGES)
    X["flag"] = ["yes", None] * 30

    said = remarks(X)

    assert said == [
        "void is the same in every row, so it is useless to the model; --drop void?",
        "id differs in every row, as an identifier does; --drop id?",
        "name differs in every row, as an identifier does; --drop name?",
        "one is the same in every row, so it is useless to the model; --drop one?",
    ]


@pytest.mark.parametrize(
    ("target", "labels"),
    [
        (["1", "0", "", "1"], {True, False}),
        (["True", "False", "", "True"], {True, False}),
        (["7", "3", "", "7"], {7, 3}),
        (["yes", "no", "", "yes"], {"yes", "no"}),
    ],
)
def test_rows_without_a_target_are_left_out_if_they_may_be(tmp_path: Path, target: list[str], labels: set[Any]) -> None:
    made = recipe(tmp_path, {"age": range(4)}, target, drop_null_target=True)

    assert made.X.age.tolist() == [0, 1, 3]
    assert {(type(label), label) for label in made.y.tolist()} == {(type(label), label) for label in labels}
    assert made.notes[0] == "1 rows without target were left out."


def test_a_target_that_is_always_null_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DumpError, match=r"'target' is null in every row of .*; choose another target"):
        recipe(tmp_path, {"age": range(4)}, [None] * 4, drop_null_target=True)


def test_a_file_may_have_another_separator_and_encoding(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("größe\tziel\n1\tja\n2\tnein\n", encoding="utf-16")

    made = from_csv(CsvFile(tmp_path / "table.csv", "\t", "utf-16"), "ziel")

    assert (list(made.X.columns), made.y.tolist()) == (["größe"], ["ja", "nein"])
    with pytest.raises(DumpError, match="cannot be read as CSV: unknown encoding: utf-99"):
        from_csv(CsvFile(tmp_path / "table.csv", encoding="utf-99"), "ziel")


def test_leading_zeros_are_kept_in_a_string_column_and_reported_in_others(tmp_path: Path) -> None:
    zips = {
        "zip": ["00012", "00345", None, "12345"],
        "my zip": ["007", "08", "9", "10"],
        "share": ["0.5", "0", "", "1"],
    }

    lost = recipe(tmp_path, zips, ["01", "02", "01", "02"])
    kept = recipe(tmp_path, zips, ["01", "02", "01", "02"], strings=["zip", "my zip", "target"])

    assert [note.partition(" ")[0] for note in lost.notes if "leading zeros" in note] == ["zip", "my", "target"]
    assert "my zip has numbers with leading zeros, such as 00012, and they are lost; --string 'my zip' keeps them?" in (
        lost.notes
    )
    assert not any("leading zeros" in note for note in kept.notes)
    assert kept.X.zip.dropna().tolist() == ["00012", "00345", "12345"]
    assert kept.X.zip.isna().tolist() == [False, False, True, False]
    assert kept.y.tolist() == ["01", "02", "01", "02"]


def test_a_missing_string_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(DumpError, match="has no column 'zip'"):
        recipe(tmp_path, TABLE, AGES, strings=["zip"])


TIMES = pd.date_range("2024-01-01T12:30:00", periods=ROWS, freq="37h")


@pytest.mark.parametrize(
    ("texts", "dtype"),
    [
        (TIMES.strftime("%Y-%m-%dT%H:%M:%S"), "datetime64[us]"),
        (TIMES.strftime("%Y-%m-%d %H:%M"), "datetime64[us]"),
        (TIMES.strftime("%Y-%m-%dT%H:%M:%SZ"), "datetime64[us, UTC]"),
        (TIMES.strftime("%Y-%m-%dT%H:%M:%S+0") + (TIMES.day % 2).astype(str) + ":00", "datetime64[us, UTC]"),
        (TIMES.strftime("%Y-%m-%d"), "object"),
    ],
)
def test_columns_of_dates_are_parsed(tmp_path: Path, texts: pd.Index, dtype: str) -> None:
    made = recipe(tmp_path, {"when": [None, *texts[1:]]}, AGES > 40, dates=["when"])

    assert str(made.X["when"].dtype) == dtype
    assert made.X["when"].isna().tolist() == [True] + [False] * (ROWS - 1)
    assert dtype != "object" or made.X["when"][1] == date(2024, 1, 3)
    assert remarks(made.X) == []


@pytest.mark.parametrize("model", MODELS)
def test_every_model_takes_dates(tmp_path: Path, model: ModelName) -> None:
    made = recipe(tmp_path, TABLE.assign(when=TIMES, day=TIMES.date), AGES > 40, model=model, dates=["when", "day"])

    assert len(made.pipeline.fit(made.X, made.y).predict_proba(made.X)) == ROWS


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["31.05.2024"] * ROWS, "Column 'when' cannot be read as dates .*write ISO 8601, such as 2024-05-31"),
        (["2024-05-31", *["soon"] * (ROWS - 1)], "Column 'when' cannot be read as dates"),
        (["2024-02-30"] * ROWS, "Column 'when' cannot be read as dates"),
        ([20240531] * ROWS, "20240531 is a number.*write ISO 8601"),
    ],
)
def test_a_column_that_holds_no_dates_is_refused(tmp_path: Path, texts: list[Any], says: str) -> None:
    with pytest.raises(DumpError, match=says):
        recipe(tmp_path, {"when": texts}, AGES > 40, dates=["when"])


def test_dates_are_for_a_column_of_the_file_other_than_the_target(tmp_path: Path) -> None:
    with pytest.raises(DumpError, match="has no column 'then'"):
        recipe(tmp_path, {"when": TIMES}, AGES > 40, dates=["then"])
    with pytest.raises(DumpError, match="'target' is the target or dropped"):
        recipe(tmp_path, {"when": TIMES}, AGES > 40, dates=["target"])


@pytest.mark.long
def test_the_command_trains_a_model_of_dates(tmp_path: Path) -> None:
    table = TABLE.assign(when=TIMES, day=TIMES.date, target=AGES > 40)
    table.to_csv(tmp_path / "table.csv", index=False)
    options = [
        "--target",
        "target",
        "-o",
        str(tmp_path / "made"),
        "--dates",
        "when",
        "--dates",
        "day",
        "--nullable",
        "day",
    ]

    ran = CliRunner().invoke(main, ["train", str(tmp_path / "table.csv"), *options])

    assert ran.exit_code == 0, ran.output
    *_, when, day = load(tmp_path / "made").manifest.signature
    assert (when.kind, when.dtype, day.kind, day.nullable) == ("datetime", "datetime64[us]", "datetime", True)
    assert day.expected == "a date such as 2024-05-31 or null"


def write(table: pd.DataFrame, path: Path) -> None:
    """Writes a table in the format of the ending."""
    match "".join(path.suffixes):
        case ".csv" | ".csv.gz":
            table.to_csv(path, index=False)
        case ".parquet":
            table.to_parquet(path)
        case ".arrow":
            table.to_feather(path)
        case _:
            table.to_json(path, orient="records", lines=True, double_precision=15)


@pytest.mark.parametrize("name", ["table.csv.gz", "table.parquet", "table.arrow", "table.ndjson", "table.ndjson.gz"])
def test_every_format_gives_the_same_recipe(tmp_path: Path, name: str) -> None:
    table = TABLE.drop(columns=["void", "vip"]).assign(target=AGES > 40)
    write(table, tmp_path / "table.csv")
    write(table, tmp_path / name)

    found, expected = (from_csv(tmp_path / one, "target") for one in (name, "table.csv"))

    assert found.name == expected.name == "table"
    assert list(found.X.columns) == list(expected.X.columns)
    answers = [recipe.pipeline.fit(recipe.X, recipe.y).predict_proba(recipe.X) for recipe in (found, expected)]
    assert np.allclose(answers[0], answers[1], atol=1e-9)


def trained(*arguments: str) -> Result:
    return CliRunner().invoke(main, ("train", *arguments, "--target", "target"))


@pytest.mark.long  # starts a server
def test_a_file_of_a_bucket_is_learned_from(s3: S3, tmp_path: Path) -> None:
    write(TABLE[["age (years)"]].assign(target=AGES > 40), tmp_path / "rows.parquet")
    put(f"{s3.url}/rows.parquet", (tmp_path / "rows.parquet").read_bytes())

    ran = trained(f"{s3.url}/rows.parquet", "-o", str(tmp_path / "artifact"))

    assert ran.exit_code == 0, ran.output
    assert load(tmp_path / "artifact").manifest.name == "rows"
    missing = trained(f"{s3.url}/other.parquet", "-o", str(tmp_path / "other"))
    assert (missing.exit_code, missing.stderr) == (1, f"Error: {s3.url}/other.parquet does not exist, or is empty.\n")


@pytest.mark.long  # starts a cluster
@pytest.mark.parametrize("model", ["logistic", "forest"])
def test_a_cluster_fits_the_same_model(dask: Cluster, model: str, tmp_path: Path) -> None:
    write(TABLE[["age (years)", "port/é"]].assign(target=AGES > 40), tmp_path / "rows.csv")
    options = ("--model", model, "--no-training-data")

    ran = trained(str(tmp_path / "rows.csv"), "-o", str(tmp_path / "far"), *options, "--scheduler", dask.address)

    assert ran.exit_code == 0, ran.output
    assert trained(str(tmp_path / "rows.csv"), "-o", str(tmp_path / "near"), *options).exit_code == 0
    far, near = load(tmp_path / "far"), load(tmp_path / "near")
    rows = [dict(row) for row in near.manifest.golden.observations]
    assert np.allclose(far.model.outputs(rows), near.model.outputs(rows), atol=1e-12)
    assert far.manifest.metrics.keys() == near.manifest.metrics.keys()
    with Client(dask.address, set_as_default=False) as client:
        assert any(client.run(tasks_done).values())


def tasks_done(dask_worker: Any) -> bool:
    """Whether a worker has executed a task of joblib."""
    return any("Batch" in str(entry) or "batch" in str(entry) for entry in dask_worker.state.log)


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("cluster")) as started:
        yield started


def test_without_dask_one_sentence_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "find_spec", lambda name: None)

    ran = trained("rows.csv", "-o", str(tmp_path / "a"), "--scheduler", "tcp://127.0.0.1:1")

    assert (ran.exit_code, ran.stderr) == (
        1,
        "Error: This command needs distributed, which is not installed; run pip install 'prediction-service[dask]'.\n",
    )
