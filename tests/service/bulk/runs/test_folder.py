"""A folder of answers in parts: a run that was stopped goes on in it."""

import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from serialize.files.place_error import PlaceError
from serialize.files.places import input_files
from service.__main__ import main
from service.bulk.files import parts, text_reader
from service.bulk.runs.job import Task, Worker
from service.bulk.scoring.part_scorer import ScoredPart
from tests.service.bulk.stored import get, put
from tests.support.killed import KILLED, run_call
from tests.support.moto import S3
from tests.support.passengers import ARTIFACTS, all_passengers

ROWS, GROUP = 100, 30
PARTS = [f"part-000000-00000{i}" for i in range(4)]


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ARTIFACTS", str(ARTIFACTS))
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/none.db")
    monkeypatch.setattr(parts, "_PART_ROWS", GROUP)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ("score", *arguments, "--id", "key", "--json"))


def passengers() -> pa.Table:
    """Passengers with the keys 0, 1, 2...; every tenth is too old."""
    rows = [{**row, "Age": 500.0} if i % 10 == 5 else row for i, row in enumerate(all_passengers()[:ROWS])]
    return pa.Table.from_pylist(rows).append_column("key", pa.array(range(len(rows))))


@pytest.fixture
def given(tmp_path: Path) -> str:
    """A Parquet file with four row groups."""
    pq.write_table(passengers(), tmp_path / "a.parquet", row_group_size=GROUP)
    return "a.parquet"


def answers(folder: Path) -> list[dict[str, Any]]:
    """All answers in a folder, as a reader of datasets finds them."""
    found: list[dict[str, Any]] = ds.dataset(folder).to_table().to_pylist()
    return found


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_has_the_answers_of_a_file_in_parts(given: str, tmp_path: Path) -> None:
    assert run(given, "-o", "out.parquet").exit_code == 0

    ran = run(given, "-o", "out/", "--rejects", "rejects.ndjson")

    assert ran.exit_code == 0, ran.output
    assert sorted(path.name for path in (tmp_path / "out").glob("*.parquet")) == [f"{name}.parquet" for name in PARTS]
    assert answers(tmp_path / "out") == pq.read_table("out.parquet").to_pylist()
    assert [json.loads(line)["row_number"] for line in (tmp_path / "rejects.ndjson").read_text().splitlines()] == [
        *range(5, ROWS, 10)
    ]
    summary = json.loads(ran.stderr)
    assert (summary["scored"], summary["rejected"], summary["earlier"]) == (90, 10, 0)


@pytest.mark.parametrize("form", ["csv", "ndjson", "arrow"])
def test_the_parts_may_have_another_format(form: str, given: str, tmp_path: Path) -> None:
    assert run(given, "-o", "out/", "--format", form).exit_code == 0

    assert sorted(path.name for path in (tmp_path / "out").glob("part*")) == [f"{name}.{form}" for name in PARTS]


@pytest.mark.parametrize("lost", [[PARTS[0]], PARTS[1:], [PARTS[2]], PARTS])
def test_a_run_goes_on_with_the_parts_that_are_missing(lost: list[str], given: str, tmp_path: Path) -> None:
    assert run(given, "-o", "out/", "--rejects", "rejects.ndjson").exit_code == 0
    whole, rejects = content(tmp_path / "out"), (tmp_path / "rejects.ndjson").read_bytes()
    for name in lost:
        (tmp_path / f"out/_done/{name}.ndjson").unlink()
        (tmp_path / f"out/{name}.parquet").write_bytes(b"")  # as if it was not complete
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.parquet") if path.stem not in lost}

    ran = run(given, "-o", "out/", "--rejects", "rejects.ndjson")

    assert ran.exit_code == 0, ran.output
    assert content(tmp_path / "out") == whole
    assert (tmp_path / "rejects.ndjson").read_bytes() == rejects
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    summary = json.loads(ran.stderr)
    assert (summary["scored"], summary["rejected"]) == (90, 10)
    assert summary["earlier"] == ROWS - sum(min(GROUP, ROWS - GROUP * PARTS.index(name)) for name in lost)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("a.parquet", "--keep", "Sex"), "--keep was [], and now it is ['Sex']"),
        (("a.parquet", "--format", "csv"), "--format was parquet, and now it is csv"),
        (("a.parquet", "b.csv"), "its input had no file b.csv"),
        (("b.csv",), "its input had the file a.parquet too"),
        (("changed",), "the file a.parquet has changed since"),
        (("a.parquet", "--model", "iris"), "its model was "),
    ],
)
def test_another_run_is_refused(
    change: tuple[str, ...], sentence: str, given: str, tmp_path: Path, artifacts: dict[str, Path]
) -> None:
    assert run(given, "-o", "out/").exit_code == 0
    (tmp_path / "b.csv").write_text("key\n1\n")
    if change == ("changed",):
        change = (given,)
        pq.write_table(passengers().slice(1), tmp_path / given)
    before = content(tmp_path / "out")

    ran = run(*(str(artifacts["iris"]) if one == "iris" else one for one in change), "-o", "out/")

    assert ran.exit_code == 1
    assert ran.stderr.startswith(f"Error: {tmp_path}/out holds the answers of another run: {sentence}")
    assert "Name another folder, or use --force to begin again." in ran.stderr
    assert content(tmp_path / "out") == before


def test_force_begins_again_and_leaves_nothing_of_the_earlier_run(given: str, tmp_path: Path) -> None:
    assert run(given, "-o", "out/").exit_code == 0
    pq.write_table(passengers().slice(0, 10), tmp_path / given)

    ran = run(given, "-o", "out/", "--force")

    assert ran.exit_code == 0, ran.output
    assert [one["key" if "key" in one else "id"] for one in answers(tmp_path / "out")] == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    assert len(list((tmp_path / "out").rglob("*part*"))) == 2


@pytest.mark.parametrize("force", [(), ("--force",)])
def test_files_of_others_are_neither_replaced_nor_removed(force: tuple[str, ...], given: str, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("mine")

    ran = run(given, "-o", "out", *force)

    assert ran.exit_code == 1
    assert "out holds other files, such as mine.txt; name an empty folder" in ran.stderr
    assert content(tmp_path / "out") == {"mine.txt": b"mine"}


@pytest.mark.parametrize("force", [(), ("--force",)])
@pytest.mark.parametrize("name", ["part-2026.parquet", "part-000000-000000.parquet", "_done/part-1.ndjson"])
def test_files_that_look_like_parts_are_not_removed(
    name: str, force: tuple[str, ...], given: str, tmp_path: Path
) -> None:
    (tmp_path / "out" / name).parent.mkdir(parents=True)
    (tmp_path / "out" / name).write_text("mine")

    ran = run(given, "-o", "out/", *force)

    assert (ran.exit_code, f"out holds other files, such as {name}; name" in ran.stderr) == (1, True)
    assert content(tmp_path / "out") == {name: b"mine"}


def test_force_keeps_files_of_others_beside_a_run(given: str, tmp_path: Path) -> None:
    assert run(given, "-o", "out/").exit_code == 0
    (tmp_path / "out/part-2026.parquet").write_text("mine")
    before = content(tmp_path / "out")

    assert "out holds other files, such as part-2026.parquet" in run(given, "-o", "out/", "--force").stderr

    assert content(tmp_path / "out") == before


def test_parts_that_are_scored_and_not_in_the_folder_are_noticed(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with workers that write to a disk of their own."""
    monkeypatch.setattr(Worker, "run", Worker.score)

    ran = run(given, "-o", "out/", "--rejects", "rejects.ndjson")

    assert (ran.exit_code, "4 parts were scored and are not in " in ran.stderr) == (1, True), ran.stderr
    assert not (tmp_path / "rejects.ndjson").exists()
    monkeypatch.undo()


def test_only_the_rejects_of_the_same_run_are_replaced(given: str, tmp_path: Path) -> None:
    (tmp_path / "mine.ndjson").write_text("mine")
    for _ in range(2):
        assert "mine.ndjson exists" in run(given, "-o", "out/", "--rejects", "mine.ndjson").stderr
        assert not (tmp_path / "out").exists()

    assert run(given, "-o", "out/", "--rejects", "a.ndjson").exit_code == 0
    assert "mine.ndjson exists" in run(given, "-o", "out/", "--rejects", "mine.ndjson").stderr
    assert (tmp_path / "mine.ndjson").read_text() == "mine"
    for _ in range(2):
        assert run(given, "-o", "out/", "--rejects", f"file://{tmp_path}/b.ndjson").exit_code == 0
    assert (tmp_path / "a.ndjson").read_bytes() == (tmp_path / "b.ndjson").read_bytes()


@pytest.mark.parametrize("place", ["out/_run.json", f"out/_done/{PARTS[1]}.ndjson"])
@pytest.mark.parametrize("broken", [b"", b"[]", b'{"model": "a"}', b"\xff", b'{"scored": "1"}'])
def test_a_file_of_a_run_that_cannot_be_read_is_one_sentence(
    broken: bytes, place: str, given: str, tmp_path: Path
) -> None:
    assert run(given, "-o", "out/").exit_code == 0
    (tmp_path / place).write_bytes(broken)

    ran = run(given, "-o", "out/")

    sentence = f"Error: {tmp_path}/{place} is not a file of this version; use --force to begin again.\n"
    assert (ran.exit_code, ran.stderr) == (1, sentence)
    assert run(given, "-o", "out/", "--force").exit_code == 0


def test_the_answers_may_be_below_the_input(given: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / given).rename(tmp_path / "in/a.parquet")

    for place in ("in", "in", "in/**/*.parquet"):
        ran = run(place, "-o", "in/out/")

        assert (ran.exit_code, json.loads(ran.stderr)["scored"]) == (0, 90), ran.output
    assert "has the input" in run("in", "-o", "in/").stderr
    assert "has the input" in run(f"in/out/{PARTS[0]}.parquet", "-o", "in/out/").stderr


def test_an_input_that_changes_is_noticed(given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    score = Worker.score

    def changing(worker: Worker, task: Task) -> ScoredPart:
        os.utime(tmp_path / given, ns=(1, 1))
        return score(worker, task)

    monkeypatch.setattr(Worker, "score", changing)

    ran = run(given, "-o", "out.parquet")

    assert (ran.exit_code, ran.stderr) == (1, "Error: a.parquet has changed since this run began; start it again.\n")
    assert not (tmp_path / "out.parquet").exists()


def test_another_scorer_is_another_run(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(given, "-o", "out/").exit_code == 0
    monkeypatch.setenv("SCORER", "pipeline")

    assert "another run: SCORER was compiled, and now it is pipeline." in run(given, "-o", "out/").stderr


def test_the_columns_are_those_of_the_first_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first part has no answers; the types of NDJSON come from the first rows that have one."""
    monkeypatch.setattr(text_reader, "_LINES_BYTES", 1)
    monkeypatch.setattr(parts, "_PART_BLOCKS", 1)
    rows = [{**row, "k": value} for row, value in zip(all_passengers(), [1, 2.5, 3], strict=False)]
    (tmp_path / "a.ndjson").write_text("\n".join(["{", *(json.dumps({"key": 1, **row}) for row in rows[1:])]))

    for _ in range(2):
        ran = run("a.ndjson", "-o", "out/", "--keep", "k")

        assert ran.exit_code == 0, ran.output
        assert [one["k"] for one in answers(tmp_path / "out")] == [2.5, 3.0]
        assert len({tuple(pq.read_schema(path).types) for path in (tmp_path / "out").glob("*.parquet")}) == 1
        (tmp_path / "out/_done/part-000000-000002.ndjson").unlink()


def test_ids_of_csv_stay_integers_when_a_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_reader, "_CSV_BYTES", 300)
    monkeypatch.setattr(parts, "_PART_BLOCKS", 1)
    passengers().slice(0, 9).to_pandas().to_csv(tmp_path / "a.csv", index=False)
    with (tmp_path / "a.csv").open("a") as file:
        file.write((tmp_path / "a.csv").read_text().splitlines()[1].rpartition(",")[0] + ",x\n")

    assert run("a.csv", "-o", "out/", "--rejects", "rejects.ndjson").exit_code == 0
    entries = sorted((tmp_path / "out/_done").iterdir())
    assert len(entries) > 2
    for path in entries[1:]:
        path.unlink()
    assert run("a.csv", "-o", "out/", "--rejects", "rejects.ndjson").exit_code == 0

    assert [one["id"] for one in answers(tmp_path / "out")] == [0, 1, 2, 3, 4, 6, 7, 8]
    assert [json.loads(line)["pointer"] for line in (tmp_path / "rejects.ndjson").read_text().splitlines()] == [
        "/observation/Age",
        "/id",
    ]


def test_a_run_without_answers_has_one_part_without_rows(tmp_path: Path) -> None:
    pq.write_table(passengers().slice(5, 1), tmp_path / "a.parquet")

    for _ in range(2):
        ran = run("a.parquet", "-o", "out/")

        assert (ran.exit_code, json.loads(ran.stderr)["rejected"]) == (0, 1)
        assert pq.read_table(tmp_path / "out").num_rows == 0


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (("a.parquet", "-o", "./"), 1, "has the input a.parquet; name another folder for the answers."),
        (("a.parquet", "-o", "out/", "--rejects", "out/r.ndjson"), 2, "--rejects must be outside the folder"),
        (("-", "-o", "out/", "--input-format", "csv"), 2, "Standard input can be read only once"),
        (("a.parquet", "-o", "a.parquet/"), 2, "a.parquet/ is a file of the input"),
        (("a.parquet", "-o", "a.parquet/out/"), 1, "cannot be made"),
        (("a.parquet", "-o", "new"), 1, "The name of a new folder must end with /."),
        (("a.parquet", "-o", "./a.parquet", "--force"), 2, "./a.parquet is a file of the input; name another one with"),
        (("a.parquet", "-o", "out/", "--rejects", "../{here}/a.parquet"), 2, "a.parquet is a file of the input"),
        (("a.parquet", "-o", "b.csv", "--rejects", "file://{tmp_path}/b.csv"), 2, "--rejects is a file of its own"),
        (("a.parquet", "-o", "file://localhost/b.csv"), 1, "file://localhost/b.csv names a host; give a path"),
        (("file://localhost/a.parquet", "-o", "b.csv"), 1, "file://localhost/a.parquet names a host; give a path"),
        (
            ("-", "-o", "b.csv", "--input-format", "arrow", "--scheduler", "tcp://a:1"),
            2,
            "cannot read Parquet or Arrow",
        ),
        (("a.parquet", "-o", "out/", "--scheduler", " "), 2, "--scheduler needs an address"),
        (("a.parquet", "-o", "out/", "--scheduler", "tls://a:1"), 1, "tls://a:1 needs TLS, which Dask does not have"),
        (("a.parquet", "-o", "out/", "--scheduler", "foo://a:1"), 1, "foo://a:1 is no address of a scheduler"),
        (("a.parquet", "-o", "out/", "--scheduler", "tcp://a:b"), 1, "tcp://a:b is no address of a scheduler"),
        (("a.parquet", "-o", "out/", "--scheduler", "a"), 1, "a is no address of a scheduler; give one such as tcp:"),
        (("a.parquet", "-o", "out/", "--workers", "0"), 2, "--workers"),
        (("a.parquet", "-o", "out/", "--workers", "2", "--scheduler", "tcp://a:1"), 2, "Give --workers or --scheduler"),
    ],
)
def test_options_that_do_not_fit_are_one_sentence(
    options: tuple[str, ...], code: int, sentence: str, given: str, tmp_path: Path
) -> None:
    ran = run(*(option.format(tmp_path=tmp_path, here=tmp_path.name) for option in options))

    assert (ran.exit_code, sentence in ran.stderr) == (code, True), ran.stderr


@pytest.mark.long  # ten processes
def test_a_run_that_is_killed_goes_on(given: str, tmp_path: Path) -> None:
    from tests.support import killed_bulk  # noqa: PLC0415 - its module is loaded where the processes start

    arguments = (given, "-o", "out/", "--id", "key", "--rejects", "rejects.ndjson")

    variables = {name: os.environ[name] for name in ("ARTIFACTS", "DATABASE_URL")}

    def score(die_before: int) -> int:
        return run_call(killed_bulk.score, (arguments, die_before, GROUP), variables, tmp_path / "output.txt")

    assert score(0) == 0, (tmp_path / "output.txt").read_text()
    moments = int((tmp_path / "names").read_text())
    whole, rejects = content(tmp_path / "out"), (tmp_path / "rejects.ndjson").read_bytes()
    assert moments >= 10
    for moment in range(1, moments + 1):
        for path in [*(tmp_path / "out").rglob("*"), tmp_path / "rejects.ndjson"]:
            if path.is_file():
                path.unlink()

        assert score(moment) == KILLED
        assert not (tmp_path / "rejects.ndjson").exists()
        assert run(given, "-o", "out/", "--rejects", "rejects.ndjson").exit_code == 0

        assert content(tmp_path / "out") == whole, moment
        assert (tmp_path / "rejects.ndjson").read_bytes() == rejects


@pytest.mark.long  # starts a server
def test_a_folder_of_a_bucket_is_written_in_parts(given: str, s3: S3, tmp_path: Path) -> None:
    put(f"{s3.url}/in/a.parquet", (tmp_path / given).read_bytes())
    whole: list[bytes | None] = []

    for _ in range(2):
        ran = run(f"{s3.url}/in", "-o", f"{s3.url}/a*b/", "--rejects", f"{s3.url}/rejects.ndjson")

        assert ran.exit_code == 0, ran.output
        whole.append(get(f"{s3.url}/a*b/{PARTS[3]}.parquet"))
    assert (whole[0], json.loads(ran.stderr)["earlier"]) == (whole[1], ROWS)
    assert len((get(f"{s3.url}/rejects.ndjson") or b"").splitlines()) == 10
    (found,) = input_files([f"{s3.url}/in"])
    put(f"{s3.url}/in/a.parquet", b"another")
    with pytest.raises(PlaceError, match=r"a\.parquet has changed since this run began"), found.open():
        pass
    ran = run(f"{s3.url}/in", "-o", f"{s3.url}/a*b/")
    assert "a.parquet has changed since" in ran.stderr
