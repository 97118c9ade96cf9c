"""Several files are one table, with the types that one file with all rows would have."""

from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from serialize import DumpError, load
from serialize.__main__ import main
from serialize.recipes.csv_file import CsvFile
from serialize.recipes.data_files import DataFiles, data_files
from tests.service.bulk.stored import put
from tests.support.moto import S3
from tests.support.web_server import web_server

ROWS = pd.DataFrame({"age": range(60), "port": ["S", "C", "Q"] * 20, "survived": [False, True] * 30})


def of(folder: Path, **texts: str) -> DataFiles:
    """CSV files with these texts."""
    for name, text in texts.items():
        (folder / f"{name}.csv").write_text(text)
    return DataFiles(tuple(CsvFile(folder / f"{name}.csv", shown=f"{name}.csv") for name in texts))


def train(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["train", *arguments, "--target", "survived"])


def spread(folder: Path) -> list[Path]:
    """The rows in a file of each format, and beside them files that do not count."""
    folder.mkdir()
    paths = [folder / name for name in ("a.csv.gz", "b.ndjson", "c.parquet", "d.arrow")]
    parts = [ROWS[first : first + 15].reset_index(drop=True) for first in range(0, 60, 15)]
    parts[0].to_csv(paths[0], index=False)
    parts[1].to_json(paths[1], orient="records", lines=True)
    parts[2].to_parquet(paths[2])
    parts[3].to_feather(paths[3])
    for name in ("_a.csv", ".a.csv", "notes.txt"):
        (folder / name).write_text("other\n1\n")
    return paths


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize(
    "inputs", [["rows"], ["rows/*"], ["rows/a.*", "rows/b.ndjson", "rows/[cd].*"], ["file://rows"]]
)
def test_a_folder_a_pattern_and_several_files_are_one_table(
    inputs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spread(tmp_path / "rows")
    monkeypatch.chdir(tmp_path)

    ran = train(*(one.replace("file://", f"file://{tmp_path}/") for one in inputs), "-o", "artifact")

    assert ran.exit_code == 0, ran.output
    artifact = load("artifact")
    assert artifact.manifest.name == "rows"
    data = artifact.training_data()
    pd.testing.assert_frame_equal(data.X, ROWS[["age", "port"]], check_dtype=False)
    assert data.y.tolist() == ROWS["survived"].tolist()


@pytest.mark.long  # starts a server
@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("place", ["rows", "rows/*"])
def test_the_folder_of_a_bucket_is_one_table(place: str, s3: S3, tmp_path: Path) -> None:
    for path in spread(tmp_path / "rows"):
        put(f"{s3.url}/rows/{path.name}", path.read_bytes())
    put(f"{s3.url}/rows/_done/a.csv", b"other\n1\n")

    ran = train(f"{s3.url}/{place}", "-o", str(tmp_path / "artifact"))

    assert ran.exit_code == 0, ran.output
    artifact = load(tmp_path / "artifact")
    assert artifact.manifest.name == "rows"
    assert artifact.training_data().X["age"].tolist() == ROWS["age"].tolist()


@pytest.mark.long  # starts a server
def test_copies_keep_the_names_of_the_files(s3: S3) -> None:
    put(f"{s3.url}/1/a.csv", b"a\n1\n")
    put(f"{s3.url}/2/a.csv", b"b\n1\n")

    with data_files([s3.url], ",", "utf-8") as files, pytest.raises(DumpError) as caught:
        files.table()

    assert str(caught.value).startswith(f"{s3.url}/2/a.csv has other columns than {s3.url}/1/a.csv: it has no 'a'")
    assert not any(Path(file.path).exists() for file in files.files)


@pytest.mark.long  # starts a server
@pytest.mark.usefixtures("in_this_process")
def test_a_file_of_a_web_server_is_trained_on(certificate: Path, tmp_path: Path) -> None:
    files = {f"/rows/{path.name}": path.read_bytes() for path in spread(tmp_path / "rows")}

    with web_server(certificate, files) as url:
        ran = train(*(url + path for path in files), "-o", str(tmp_path / "artifact"))

    assert ran.exit_code == 0, ran.output
    assert load(tmp_path / "artifact").training_data().X["age"].tolist() == ROWS["age"].tolist()


def test_other_columns_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("age,port,survived\n1,S,0\n2,C,1\n")
    (tmp_path / "b.csv").write_text("age,fare,survived\n1,2.5,0\n2,3.5,1\n")

    ran = train(f"{tmp_path}/a.csv", f"{tmp_path}/b.csv", "-o", str(tmp_path / "artifact"))

    assert (ran.exit_code, ran.stderr) == (
        1,
        f"Error: {tmp_path}/b.csv has other columns than {tmp_path}/a.csv: it has no 'port', and only it has 'fare'; "
        "train on files with the same columns.\n",
    )
    assert not (tmp_path / "artifact").exists()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (["1", "2"], ["x", "y"]),  # numbers, and then text
        (["007", "8"], ["A9", ""]),
        (["", ""], ["x", "y"]),  # no value in one file
        (["1", "2"], ["", ""]),
        (["True", "False"], ["", ""]),
        (["", ""], ["", ""]),
        (["1", "2"], ["1.5", "2"]),
        (["True", ""], ["yes", "no"]),
    ],
)
def test_files_of_csv_are_read_as_one_file(first: list[str], second: list[str], tmp_path: Path) -> None:
    texts = ["".join(f"{cell},1\n" for cell in cells) for cells in (first, second)]
    whole = of(tmp_path, whole="a,b\n" + "".join(texts)).table()

    found = of(tmp_path, one="a,b\n" + texts[0], two="a,b\n" + texts[1]).table()

    pd.testing.assert_frame_equal(found, whole)


def test_text_of_another_format_keeps_the_zeros_of_csv(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a\n007\n")
    pd.DataFrame({"a": ["008"]}).to_parquet(tmp_path / "b.parquet")

    table = DataFiles((CsvFile(tmp_path / "a.csv"), CsvFile(tmp_path / "b.parquet"))).table()

    assert table["a"].tolist() == ["007", "008"]


def test_the_order_of_the_columns_is_that_of_the_first_file(tmp_path: Path) -> None:
    table = of(tmp_path, one="a,b\n1,2\n", two="b,a\n4,3\n").table()

    assert table.to_dict("list") == {"a": [1, 3], "b": [2, 4]}


@pytest.mark.parametrize(("cell", "kind"), [("True", "booleans"), ("x", "texts")])
def test_other_kinds_of_values_are_one_sentence(cell: str, kind: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"a\n{cell}\n")
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "b.parquet")
    names = ("a.csv", "b.parquet")

    with pytest.raises(DumpError) as caught:
        DataFiles(tuple(CsvFile(tmp_path / name, shown=name) for name in names)).table()

    sentence = f"b.parquet has numbers in the column 'a', and a.csv has {kind}"
    assert str(caught.value) == f"{sentence}; train on files with the same kind of values."


def test_leading_zeros_are_found_in_any_file(tmp_path: Path) -> None:
    files = of(tmp_path, one="a,b\n1,2\n", two="a,b\n007,3\n")

    assert files.with_leading_zeros(["a", "b"]) == ["a"]
    assert files.table(["a"])["a"].tolist() == ["1", "007"]


def test_a_message_about_all_files_counts_them(tmp_path: Path) -> None:
    assert str(of(tmp_path, a="", b="")) == "a.csv and 1 more file"
    assert str(of(tmp_path, a="", b="", c="")) == "a.csv and 2 more files"


@pytest.mark.parametrize("name", ["rows.txt", "rows.tsv"])
def test_a_file_with_another_ending_is_csv(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("a\n1\n")

    with data_files([str(tmp_path / name)], ",", "utf-8") as files:
        assert files.table()["a"].tolist() == [1]
        assert files.name == "rows"


def test_standard_input_is_refused() -> None:
    ran = train("-", "-o", "artifact")

    assert (ran.exit_code, ran.stderr) == (2, "Error: Standard input cannot be trained on; give a file.\n")
