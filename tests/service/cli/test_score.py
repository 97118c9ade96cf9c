"""`python -m service score` writes the answers of POST /predict for the rows of files."""

import gzip
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from serialize import load
from service.__main__ import main
from tests.conftest import Client, MakeClient
from tests.service.bulk.stored import get, put
from tests.support.moto import S3
from tests.support.passengers import ARTIFACTS, PASSENGER, all_passengers
from tests.support.web_server import web_server

COLUMNS = ["id", "predicted_class", "proba", "model_version"]


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ARTIFACTS", str(ARTIFACTS))
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/none.db")


def run(*arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(main, ("score", *arguments), input=stdin)


def passengers(count: int = 50) -> pd.DataFrame:
    rows = pd.DataFrame(all_passengers()[:count])
    return rows.assign(key=range(100, 100 + count), name=[f"p{i}" for i in range(count)])


def write(rows: pd.DataFrame, path: Path) -> None:
    match "".join(path.suffixes):
        case ".parquet":
            pq.write_table(pa.Table.from_pandas(rows, preserve_index=False), path, row_group_size=20)
        case ".arrow":
            table = pa.Table.from_pandas(rows, preserve_index=False)
            with pa.ipc.new_file(str(path), table.schema) as writer:
                writer.write_table(table)
        case ".csv" | ".csv.gz":
            rows.to_csv(path, index=False)
        case _:
            rows.to_json(path, orient="records", lines=True, double_precision=15)


def read(path: Path) -> list[dict[str, Any]]:
    match "".join(path.suffixes):
        case ".parquet":
            return pq.read_table(path).to_pylist()  # type: ignore[no-any-return]
        case ".arrow":
            return pa.ipc.open_file(str(path)).read_all().to_pylist()  # type: ignore[no-any-return]
        case ".csv":
            return pa_csv.read_csv(path).to_pylist()  # type: ignore[no-any-return]
        case ".csv.gz":
            return pa_csv.read_csv(str(path)).to_pylist()  # type: ignore[no-any-return]
        case ".ndjson.gz":
            return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
        case _:
            return [json.loads(line) for line in path.read_text().splitlines()]


def answers(client: Client, rows: pd.DataFrame) -> list[dict[str, Any]]:
    """What POST /predict answers, with the columns of the command."""
    observations = json.loads(rows.drop(columns=["key", "name"]).to_json(orient="records", double_precision=15))
    items = [{"id": key, "observation": one} for key, one in zip(rows["key"].tolist(), observations, strict=True)]
    found = client.post("/predict", json=items)
    version = found.headers["X-Model-Version"]
    return [
        {
            "id": one["observation_id"],
            "predicted_class": one["predicted_class"],
            "proba": one["proba"],
            "model_version": version,
        }
        for one in found.json
    ]


@pytest.mark.parametrize("given", ["a.parquet", "a.arrow", "a.csv", "a.csv.gz", "a.ndjson", "a.ndjson.gz"])
@pytest.mark.parametrize("written", ["out.parquet", "out.ndjson"])
def test_the_answers_are_those_of_a_post(given: str, written: str, tmp_path: Path, make_client: MakeClient) -> None:
    rows = passengers()
    write(rows, tmp_path / given)

    ran = run(given, "-o", written, "--id", "key", "--keep", "name")

    assert ran.exit_code == 0, ran.output
    assert ran.stderr.startswith("50 rows were scored and 0 rejected, in ")
    found = read(tmp_path / written)
    assert [one.pop("name") for one in found] == rows["name"].tolist()
    assert [list(one) for one in found] == [COLUMNS] * 50
    expected = answers(make_client(), rows)
    for one, other in zip(found, expected, strict=True):
        assert one.pop("proba") == pytest.approx(other.pop("proba"), abs=1e-12)
        assert one == other


@pytest.mark.parametrize(
    "written", ["out.parquet", "out.arrow", "out.csv", "out.csv.gz", "out.ndjson", "out.ndjson.gz"]
)
def test_every_output_has_the_same_rows_in_order(written: str, tmp_path: Path) -> None:
    write(passengers(), tmp_path / "a.parquet")

    ran = run("a.parquet", "-o", written, "--id", "key", "--row-number", "--keep", "Fare", "--keep", "name")

    assert ran.exit_code == 0, ran.output
    found = read(tmp_path / written)
    assert [one["id"] for one in found] == list(range(100, 150))
    assert [one["row_number"] for one in found] == list(range(50))
    assert [one["Fare"] for one in found] == passengers()["Fare"].tolist()
    assert [one["name"] for one in found] == passengers()["name"].tolist()


def test_standard_input_is_answered_on_standard_output() -> None:
    lines = [{"id": "a", "observation": PASSENGER}, {"id": 2, "observation": {**PASSENGER, "Sex": "female"}}]

    ran = run("-", "-o", "-", "--input-format", "ndjson", stdin="\n".join(map(json.dumps, lines)).encode())

    found = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [(one["id"], one["predicted_class"]) for one in found] == [("a", False), (2, True)]


def test_rejected_rows_are_named_and_left_out(tmp_path: Path) -> None:
    rows = passengers(4).astype({"Age": object, "Pclass": float})
    rows.loc[1, "Age"], rows.loc[3, "Sex"], rows.loc[3, "Pclass"] = "old", None, 1.5
    write(rows, tmp_path / "a.csv")

    ran = run("a.csv", "-o", "out.ndjson", "--id", "key", "--keep", "name", "--rejects", "rejects.ndjson", "--json")

    assert ran.exit_code == 0
    assert [one["id"] for one in read(tmp_path / "out.ndjson")] == [100, 102]
    faults = read(tmp_path / "rejects.ndjson")
    assert [(one["file"], one["row_number"], one["pointer"], one["value"]) for one in faults] == [
        ("a.csv", 1, "/observation/Age", "old"),
        ("a.csv", 3, "/observation/Pclass", 1.5),
        ("a.csv", 3, "/observation/Sex", None),
    ]
    assert faults[0]["detail"] == f'Age: expected {faults[0]["expected"]}; got "old"'
    summary = json.loads(ran.stderr)
    assert {name: summary[name] for name in ("scored", "rejected", "faults")} == {
        "scored": 2,
        "rejected": 2,
        "faults": [
            {"kind": "type", "pointer": "/observation/Age", "faults": 1},
            {"kind": "type", "pointer": "/observation/Pclass", "faults": 1},
            {"kind": "null", "pointer": "/observation/Sex", "faults": 1},
        ],
    }


def test_strict_exits_with_1_after_it_has_written_all(tmp_path: Path) -> None:
    write(passengers(3).assign(Pclass=[1, 1.5, 3]), tmp_path / "a.csv")

    ran = run("a.csv", "-o", "out.csv", "--id", "key", "--keep", "name", "--strict")

    assert ran.exit_code == 1
    assert [one["id"] for one in read(tmp_path / "out.csv")] == [100, 102]


def test_several_files_of_several_kinds_are_one_output(tmp_path: Path) -> None:
    rows = passengers(6)
    (tmp_path / "in").mkdir()
    write(rows[:2], tmp_path / "in" / "1.parquet")
    write(rows[2:4], tmp_path / "in" / "2.csv")
    write(rows[4:], tmp_path / "in" / "3.ndjson")

    ran = run("in", "-o", "out.parquet", "--id", "key", "--keep", "name")

    assert ran.exit_code == 0, ran.output
    assert [one["id"] for one in read(tmp_path / "out.parquet")] == list(range(100, 106))


def test_ids_of_csv_are_integers_if_the_first_ones_are(tmp_path: Path) -> None:
    for ids, found in ((["1", "2"], [1, 2]), (["007", "2"], ["007", "2"]), (["a", "2"], ["a", "2"])):
        write(passengers(2).assign(key=ids), tmp_path / "a.csv")

        assert run("a.csv", "-o", "out.ndjson", "--id", "key", "--keep", "name", "--force").exit_code == 0
        assert [one["id"] for one in read(tmp_path / "out.ndjson")] == found


def test_a_file_that_exists_is_not_replaced_without_force(tmp_path: Path) -> None:
    write(passengers(2), tmp_path / "a.csv")
    (tmp_path / "out.csv").write_text("mine")

    ran = run("a.csv", "-o", "out.csv", "--keep", "name", "--keep", "key")

    assert (ran.exit_code, (tmp_path / "out.csv").read_text()) == (1, "mine")
    assert "out.csv exists; give another name, or use --force to replace it." in ran.stderr


@pytest.mark.parametrize(
    "options", [("-o", "in.csv"), ("-o", "in.csv", "--force"), ("-o", "x.csv", "--rejects", "in.csv")]
)
def test_a_folder_in_the_place_of_a_file_is_named(options: tuple[str, ...], tmp_path: Path) -> None:
    write(passengers(2), tmp_path / "a.csv")
    for name in ("in", "in.csv"):
        (tmp_path / name).mkdir()

    ran = run("a.csv", *options)

    assert ran.exit_code == 1
    assert "is a folder; name a file" in ran.stderr or "has none of the endings" in ran.stderr


def test_a_run_that_fails_leaves_no_output(tmp_path: Path) -> None:
    write(passengers(2), tmp_path / "a.csv")
    (tmp_path / "b.parquet").write_bytes(b"damaged")

    ran = run("a.csv", "b.parquet", "-o", "out.csv", "--rejects", "rejects.ndjson", "--keep", "name", "--keep", "key")

    assert ran.exit_code == 1
    assert "b.parquet cannot be read" in ran.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "b.parquet"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--id", "nope"), "--id nope: the input has no such column; its columns are Pclass, "),
        (("--keep", "nope"), "--keep nope: the input has no such column"),
        (("--keep", "id"), "--keep id: the answers have a column of this name; rename yours."),
        (("--keep", "proba"), "--keep proba: the answers have a column of this name; rename yours."),
        (("--model", "none"), "none"),
        (("--model", "0123456789ab"), "has no log"),
    ],
)
def test_options_that_do_not_fit_are_one_sentence(options: tuple[str, ...], sentence: str, tmp_path: Path) -> None:
    write(passengers(2), tmp_path / "a.csv")

    ran = run("a.csv", "-o", "out.csv", *options)

    assert ran.exit_code == 1
    assert sentence in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


@pytest.mark.parametrize("written", ["out.parquet", "out.csv", "out.ndjson", "out.arrow"])
def test_files_without_rows_have_an_output_without_rows(written: str, tmp_path: Path) -> None:
    write(passengers(1)[:0], tmp_path / "a.csv")

    ran = run("a.csv", "-o", written, "--id", "key", "--keep", "name")

    assert ran.exit_code == 0, ran.output
    assert ran.stderr.startswith("0 rows were scored and 0 rejected")
    assert read(tmp_path / written) == []
    if written == "out.parquet":
        assert pq.read_table(tmp_path / written).column_names == [*COLUMNS, "name"]


@pytest.mark.parametrize("places", [("-", "-"), ("out.ndjson", "./out.ndjson"), ("out.ndjson", "r.ndjson.gz")])
def test_the_rejects_are_a_file_of_their_own(places: tuple[str, str], tmp_path: Path) -> None:
    write(passengers(2), tmp_path / "a.csv")

    ran = run("a.csv", "-o", places[0], "--rejects", places[1])

    assert (ran.exit_code, list(tmp_path.glob("*.ndjson*"))) == (2, [])


def test_an_id_never_changes_its_type(tmp_path: Path) -> None:
    write(passengers(2), tmp_path / "a.parquet")
    write(passengers(2).assign(key=["007", "8"]), tmp_path / "b.parquet")
    options = ("--id", "key", "--keep", "name")

    ran = run("a.parquet", "b.parquet", "-o", "out.csv", *options)
    assert ran.exit_code == 1
    assert "The column id is string in a later part of the input, and the output has it as int64" in ran.stderr

    assert run("a.parquet", "b.parquet", "-o", "out.ndjson", *options).exit_code == 0
    assert [one["id"] for one in read(tmp_path / "out.ndjson")] == [100, 101, "007", "8"]


def test_parts_without_rows_are_passed_over(tmp_path: Path) -> None:
    table = pa.Table.from_pandas(passengers(2), preserve_index=False)
    with pq.ParquetWriter(tmp_path / "a.parquet", table.schema) as writer:
        for part in (table[:0], table, table[:0]):
            writer.write_table(part)
    write(passengers(0), tmp_path / "b.parquet")

    ran = run("b.parquet", "a.parquet", "-o", "out.parquet", "--id", "key", "--keep", "name")

    assert ran.exit_code == 0, ran.output
    assert [one["id"] for one in read(tmp_path / "out.parquet")] == [100, 101]


def test_a_file_with_only_ids_has_only_faults(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id\n1\n2\n")

    ran = run("a.csv", "-o", "out.ndjson", "--id", "id", "--json")

    assert (ran.exit_code, json.loads(ran.stderr)["rejected"]) == (0, 2)


def test_half_of_a_surrogate_pair_is_a_fault_and_is_kept_as_an_escape(tmp_path: Path) -> None:
    lines = [{**PASSENGER, "Sex": "\ud800"}, {**PASSENGER, "\ud800": 1}, {**PASSENGER, "name": "\ud800"}]
    (tmp_path / "a.ndjson").write_text("\n".join(map(json.dumps, lines)))

    ran = run("a.ndjson", "-o", "out.ndjson", "--keep", "name", "--rejects", "rejects.ndjson")

    assert ran.exit_code == 0, ran.output
    assert [one["value"] for one in read(tmp_path / "rejects.ndjson")] == ["\ud800", 1]
    assert [one["name"] for one in read(tmp_path / "out.ndjson")] == ["\\ud800"]


def test_types_of_ndjson_come_from_the_first_scored_rows(tmp_path: Path) -> None:
    kept: list[Any] = [1, 2.5, [1], None, float("inf")]
    (tmp_path / "a.ndjson").write_text("\n".join(json.dumps({**PASSENGER, "k": value}) for value in kept[:4]))

    assert run("a.ndjson", "-o", "out.ndjson", "--keep", "k").exit_code == 0
    assert [one["k"] for one in read(tmp_path / "out.ndjson")] == kept[:4]
    assert run("a.ndjson", "-o", "out.csv", "--keep", "k").exit_code == 0
    (tmp_path / "b.ndjson").write_text(
        json.dumps({**PASSENGER, "k": 2**60}) + "\n" + json.dumps({**PASSENGER, "k": 0.5})
    )
    assert run("b.ndjson", "-o", "b.csv", "--keep", "k").exit_code == 0


def test_parquet_may_come_from_standard_input(tmp_path: Path) -> None:
    write(passengers(3), tmp_path / "a.parquet")

    ran = run(
        "-",
        "-o",
        "-",
        "--input-format",
        "parquet",
        "--id",
        "key",
        "--keep",
        "name",
        stdin=(tmp_path / "a.parquet").read_bytes(),
    )

    assert ran.exit_code == 0, ran.output
    assert [json.loads(line)["id"] for line in ran.stdout.splitlines()] == [100, 101, 102]


def test_usage_is_2() -> None:
    assert run("a.csv").exit_code == 2
    assert run("-o", "out.csv").exit_code == 2
    for option in (("--sep", "ab"), ("--sep", "§"), ("--encoding", "rot13"), ("--encoding", "none-such")):
        assert run("a.csv", "-o", "out.csv", *option).exit_code == 2


def test_the_model_may_be_another_one(artifacts: dict[str, Path], tmp_path: Path) -> None:
    iris = load(artifacts["iris"])
    rows = [dict(row) for row in iris.manifest.golden.observations]
    (tmp_path / "a.ndjson").write_text("\n".join(map(json.dumps, rows)))

    for written in ("out.ndjson", "out.parquet"):
        ran = run("a.ndjson", "-o", written, "--model", str(artifacts["iris"]))

        assert ran.exit_code == 0, ran.output
        first = read(tmp_path / written)[0]
        assert first["model_version"] == iris.version
        probas = (
            first["probas"] if "probas" in first else {str(c): first[f"probas.{c}"] for c in iris.manifest.task.classes}
        )
        assert list(probas) == [str(label) for label in iris.manifest.task.classes]
        assert first["proba"] == max(probas.values())


def test_without_pyarrow_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.cli.bulk_options.find_spec", lambda name: None)

    ran = run("a.csv", "-o", "out.csv")

    assert (ran.exit_code, ran.stderr) == (
        1,
        "Error: This command needs pyarrow, which is not installed; run pip install 'prediction-service[bulk]'.\n",
    )


@pytest.mark.long  # starts a server
@pytest.mark.parametrize("gives_parts", [True, False], ids=["parts", "whole"])
def test_files_of_a_web_server_are_scored(certificate: Path, tmp_path: Path, gives_parts: bool) -> None:
    rows = passengers().drop(columns="name")
    names = ("rows.parquet", "rows.csv.gz", "rows.ndjson")
    for name in names:
        write(rows, tmp_path / name)
    assert run("rows.parquet", "-o", "whole.ndjson", "--id", "key").exit_code == 0

    files = {f"/in/{name}": (tmp_path / name).read_bytes() for name in names}
    with web_server(certificate, files, gives_parts=gives_parts) as url:
        for name in names:
            ran = run(f"{url}/in/{name}", "-o", f"{name}.out.ndjson", "--id", "key")
            assert ran.exit_code == 0, ran.output
        refused = {place: run(url + place, "-o", "other.ndjson") for place in ("/in/other.csv", "/in/*.csv", "/in", "")}

    for name in names:
        assert (tmp_path / f"{name}.out.ndjson").read_bytes() == (tmp_path / "whole.ndjson").read_bytes()
    for place, ran in refused.items():
        sentence = "does not exist; give the URL of one file, because a web server lists none."
        assert (ran.exit_code, ran.stderr) == (1, f"Error: {url}{place} {sentence}\n")
    assert not (tmp_path / "other.ndjson").exists()


@pytest.mark.long  # starts a server
def test_files_of_a_bucket_are_scored_into_it(s3: S3, tmp_path: Path) -> None:
    write(passengers(40), tmp_path / "a.parquet")
    write(passengers(3), tmp_path / "b.csv")
    put(f"{s3.url}/in/a.parquet", (tmp_path / "a.parquet").read_bytes())
    put(f"{s3.url}/in/b.csv", (tmp_path / "b.csv").read_bytes())

    ran = run(f"{s3.url}/in", "-o", f"{s3.url}/out.ndjson", "--id", "key", "--keep", "name")

    assert ran.exit_code == 0, ran.output
    lines = (get(f"{s3.url}/out.ndjson") or b"").splitlines()
    assert [json.loads(line)["id"] for line in lines] == [*range(100, 140), *range(100, 103)]
    again = run(f"{s3.url}/in", "-o", f"{s3.url}/out.ndjson")
    assert again.exit_code == 1
    assert "out.ndjson exists; give another name, or use --force to replace it." in again.stderr
