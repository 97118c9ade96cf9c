"""A place names one file or many, in an order that does not change."""

from pathlib import Path

import pytest

from serialize.files.formats import FileFormat
from serialize.files.object_store import open_to_write
from serialize.files.place_error import PlaceError
from serialize.files.places import input_files
from tests.service.bulk.stored import get, put
from tests.support.moto import S3


def fill(folder: Path) -> None:
    for name in ("b.csv", "a.parquet", "c.txt", ".hidden.csv", "_run.ndjson", "in/d.ndjson.gz", "in/e.csv.zip"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"")


def names(tmp_path: Path, *places: str) -> list[str]:
    return [str(Path(file.name).relative_to(tmp_path)) for file in input_files([f"{tmp_path}/{one}" for one in places])]


def test_a_folder_gives_its_files_with_a_known_ending(tmp_path: Path) -> None:
    fill(tmp_path)

    assert names(tmp_path, "") == ["a.parquet", "b.csv", "in/d.ndjson.gz"]
    assert names(tmp_path, "in") == ["in/d.ndjson.gz"]


def test_patterns_and_files_stay_in_the_given_order(tmp_path: Path) -> None:
    fill(tmp_path)

    assert names(tmp_path, "in/*", "*.csv", "a.parquet") == ["in/d.ndjson.gz", "b.csv", "a.parquet"]


def test_a_pattern_leaves_out_what_a_folder_leaves_out(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "_done").mkdir()
    (tmp_path / "_done" / "f.csv").touch()

    assert names(tmp_path, "*") == ["a.parquet", "b.csv"]
    assert names(tmp_path, "**/*.csv") == ["b.csv"]
    assert names(tmp_path, "_d*/*.csv") == ["_done/f.csv"]


def test_a_folder_with_wildcards_in_its_name_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "[x]").mkdir()
    (tmp_path / "[x]" / "a.csv").touch()

    assert names(tmp_path, "[x]") == ["[x]/a.csv"]


def test_a_file_url_is_a_path(tmp_path: Path) -> None:
    (tmp_path / "a b.csv").write_text("a\n1\n")

    (file,) = input_files([f"file://{tmp_path}/a%20b.csv"])

    with file.open() as opened:
        assert opened.read() == b"a\n1\n"


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("none.csv", "does not exist"),
        ("*.parquet", "has no file that can be read"),
        ("c.txt", "has none of the endings"),
        ("c.parquet.gz", "has none of the endings"),
    ],
)
def test_a_place_without_files_is_refused(tmp_path: Path, place: str, sentence: str) -> None:
    for name in ("c.txt", "c.parquet.gz"):
        (tmp_path / name).touch()

    with pytest.raises(PlaceError, match=sentence):
        input_files([str(tmp_path / place)])


def test_links_and_folders_of_other_programs_double_no_row(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "_temporary").mkdir()
    (tmp_path / "_temporary" / "a.csv").touch()
    (tmp_path / "loop").symlink_to(tmp_path)

    assert names(tmp_path, "") == ["a.parquet", "b.csv", "in/d.ndjson.gz"]
    (tmp_path / "link.csv").symlink_to(tmp_path / "b.csv")
    with pytest.raises(PlaceError, match="is given twice"):
        names(tmp_path, "b.csv", "link.csv")


def test_a_name_that_is_too_long_is_one_sentence() -> None:
    with pytest.raises(PlaceError, match=r"does not exist|too long"):
        input_files(["x" * 300 + ".csv"])


def test_a_file_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()

    with pytest.raises(PlaceError, match=r"a\.csv is given twice"):
        input_files([str(tmp_path / "a.csv"), str(tmp_path)])


def test_standard_input_needs_a_format() -> None:
    assert input_files(["-"], FileFormat("csv"))[0].format.name == "csv"
    with pytest.raises(PlaceError, match="--input-format"):
        input_files(["-"])


@pytest.mark.long  # starts a server
def test_the_files_of_a_bucket_are_listed_and_read(s3: S3) -> None:
    put(f"{s3.url}/a.csv", b"a\n1\n")
    put(f"{s3.url}/in/b.ndjson", b"{}\n")
    put(f"{s3.url}/in/_run.json", b"{}\n")
    with open_to_write(f"{s3.url}/large.csv") as file:
        for _ in range(3):
            file.write(b"x" * 7_000_000)
        assert get(f"{s3.url}/large.csv") is None

    found = {
        place: [file.name for file in input_files([f"{s3.url}{place}"])] for place in ("", "/in", "/*.csv", "/a.csv")
    }

    assert found == {
        "": [f"{s3.url}/a.csv", f"{s3.url}/in/b.ndjson", f"{s3.url}/large.csv"],
        "/in": [f"{s3.url}/in/b.ndjson"],
        "/*.csv": [f"{s3.url}/a.csv", f"{s3.url}/large.csv"],
        "/a.csv": [f"{s3.url}/a.csv"],
    }
    (one,) = input_files([f"{s3.url}/a.csv"])
    with one.open() as opened:
        opened.seek(2)
        assert opened.read() == b"1\n"
    assert len(get(f"{s3.url}/large.csv") or b"") == 21_000_000


@pytest.mark.long  # starts a server
def test_a_store_that_refuses_is_one_sentence_without_secrets(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PlaceError, match=r"^s3://no-such-bucket/a\.csv cannot be read: there is no such bucket"):
        input_files(["s3://no-such-bucket/a.csv"])
    with pytest.raises(PlaceError, match="may hold only a host or a bucket and a path"):
        input_files(["s3://user:secret@bucket/a.csv"])


@pytest.mark.long  # starts a server
@pytest.mark.parametrize("end", ["", "/", "/*", "/a/*.csv", "/a"])
def test_a_bucket_is_a_folder(end: str, s3: S3) -> None:
    bucket = f"s3://{s3.bucket}"
    put(f"{bucket}/a/b.csv", b"a\n1\n")

    assert [file.name for file in input_files([bucket + end])] == [f"{bucket}/a/b.csv"]
