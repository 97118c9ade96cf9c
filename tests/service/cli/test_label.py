"""`python -m service label` records the labels in files as POST /update does."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from peewee import OperationalError

from serialize import load
from serialize.content import read_content
from service.__main__ import main
from service.registry.registry import Registry
from service.storage.bulk.label_files import LabelFileLog
from service.storage.connection import connect
from service.storage.models.promotions import Promotions
from service.storage.models.store import ModelStore
from service.storage.session import Session
from service.storage.tables import LabelCorrection, LabelFile, Prediction
from tests.conftest import Client, MakeClient
from tests.service.bulk.stored import put
from tests.support.moto import S3
from tests.support.passengers import ARTIFACTS, PASSENGER

KEY = "k" * 32
LABELS = [True, False, True, False]


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ARTIFACTS", str(ARTIFACTS))
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/predictions.db")


@pytest.fixture
def service(make_client: MakeClient) -> Client:
    """A service with predictions that have the ids 0 to 3 and "a"."""
    service = make_client()
    items = [{"id": id_, "observation": PASSENGER} for id_ in (0, 1, 2, 3, "a")]
    assert service.post("/predict", json=items).status_code == 200
    return service


def run(*arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(main, ("label", *arguments), input=stdin)


def summary(ran: Result) -> dict[str, Any]:
    assert ran.exit_code == 0, ran.output
    found: dict[str, Any] = json.loads(ran.stderr)
    assert found.pop("seconds") >= 0
    assert found.pop("rows_per_second") > 0
    return found


def counts(**changes: Any) -> dict[str, Any]:
    nothing = {"labelled": 0, "corrected": 0, "unchanged": 0, "done_before": 0, "rejected": 0, "faults": []}
    return {**nothing, **changes}


def labels(folder: Path) -> dict[Any, Any]:
    """The labels in the log by id."""
    database = connect(f"sqlite:///{folder}/predictions.db")
    with database.connection_context():
        rows = list(Prediction.select().where(Prediction.labelled_at.is_null(False)).execute(database))
    return {
        json.loads(row.observation_id): json.loads(row.true_class) if row.true_value is None else row.true_value
        for row in rows
    }


def corrections(folder: Path) -> list[str]:
    """The replaced classes in the order of entry."""
    database = connect(f"sqlite:///{folder}/predictions.db")
    with database.connection_context():
        rows = LabelCorrection.select().order_by(LabelCorrection.id).execute(database)
        return [row.replaced_class for row in rows]


def write(path: Path, id_: str = "id", label: str = "true_class") -> None:
    """The labels of the ids 0 to 3 with a column that is of no use."""
    rows = [{"x": "y", id_: i, label: value} for i, value in enumerate(LABELS)]
    table = pa.Table.from_pylist(rows)
    match path.suffixes[0]:
        case ".parquet":
            pq.write_table(table, path)
        case ".arrow":
            with pa.ipc.new_file(str(path), table.schema) as writer:
                writer.write_table(table)
        case ".csv":
            lines = [f"y;{i};{int(value)}" for i, value in enumerate(LABELS)]
            path.write_text("\n".join([f"x;{id_};{label}", *lines]))
        case _:
            content = "\n".join(map(json.dumps, rows)).encode()
            path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.csv", "a.ndjson", "a.ndjson.gz"])
def test_each_format_gives_the_labels(name: str, service: Client, tmp_path: Path) -> None:
    write(tmp_path / name)

    ran = run(name, "--json", "--sep", ";")

    assert summary(ran) == counts(labelled=4)
    assert labels(tmp_path) == dict(enumerate(LABELS))


@pytest.mark.parametrize("option", ["--true-class", "--true-value"])
@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.ndjson"])
def test_the_columns_may_have_other_names(name: str, option: str, service: Client, tmp_path: Path) -> None:
    write(tmp_path / name, "key", "survived")

    assert summary(run(name, "--json", "--sep", ";", "--id", "key", option, "survived")) == counts(labelled=4)
    assert labels(tmp_path) == dict(enumerate(LABELS))


def test_corrections_are_kept_and_the_last_of_several_rows_counts(service: Client, tmp_path: Path) -> None:
    service.post("/update", json=[{"id": 0, "true_class": 0}, {"id": 1, "true_class": 0}])
    (tmp_path / "a.csv").write_text("id,true_class\n0,1\n1,0\n2,1\n2,0\n")

    ran = run("a.csv")

    assert ran.exit_code == 0, ran.output
    assert ran.stderr.startswith("1 rows were labelled, 2 corrected, 1 unchanged and 0 rejected, in ")
    assert labels(tmp_path) == {0: True, 1: False, 2: False}
    assert corrections(tmp_path) == ["false", "true"]


def test_rejected_rows_are_named(service: Client, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,true_class\n0,maybe\n7,1\n1,1\n,1,2\n2,\n")

    ran = run("a.csv", "--rejects", "rejects.ndjson", "--json")

    faults = [json.loads(line) for line in (tmp_path / "rejects.ndjson").read_text().splitlines()]
    assert [(one["row_number"], one["pointer"], one["value"]) for one in faults] == [
        (0, "/true_class", "maybe"),
        (1, "/id", 7),
        (3, "", ",1,2"),
        (4, "/true_class", None),
    ]
    assert faults[1] == {"file": "a.csv", "row_number": 1, **_fault(service, 7)}
    assert summary(ran) == counts(
        labelled=1,
        rejected=4,
        faults=[
            {"kind": "number of values", "pointer": "", "faults": 1},
            {"kind": "value", "pointer": "/true_class", "faults": 1},
            {"kind": "null", "pointer": "/true_class", "faults": 1},
            {"kind": "unknown id", "pointer": "/id", "faults": 1},
        ],
    )
    assert labels(tmp_path) == {1: True}


def _fault(service: Client, id_: Any) -> Any:
    return service.post("/update", json={"id": id_, "true_class": 1}).json["errors"][0]


@pytest.mark.usefixtures("service")
def test_strict_exits_with_1_after_it_has_recorded_all(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,true_class\n9,1\n1,1\n")

    ran = run("a.csv", "--strict")

    assert ran.exit_code == 1
    assert ran.stderr.startswith("1 rows were labelled, 0 corrected, 0 unchanged and 1 rejected")
    assert "unknown id" in ran.stderr


def test_several_files_and_standard_input(service: Client, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.csv").write_text("id,true_class\n0,1\n1,1\n")
    (tmp_path / "in" / "2.ndjson").write_text('{"id": 1, "true_class": 0}\n')
    line = b'{"id": "a", "true_class": true}\n'

    ran = run("in", "-", "--input-format", "ndjson", "--json", stdin=line)

    assert summary(ran) == counts(labelled=3, corrected=1)
    assert labels(tmp_path) == {0: True, 1: False, "a": True}
    database = connect(f"sqlite:///{tmp_path}/predictions.db")
    with database.connection_context():
        assert LabelFile.select().count(database) == 0


def test_a_regression_model_takes_true_values(
    make_client: MakeClient, artifacts: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARTIFACTS", str(artifacts["diabetes"]))
    service = make_client(artifacts=str(artifacts["diabetes"]))
    observations = [dict(row) for row in load(artifacts["diabetes"]).manifest.golden.observations[:2]]
    service.post("/predict", json=[{"id": i, "observation": one} for i, one in enumerate(observations)])
    (tmp_path / "a.csv").write_text("true_value,id\n1.5,0\nmany,1\n")

    ran = run("a.csv", "--json")

    faults = [{"kind": "value", "pointer": "/true_value", "faults": 1}]
    assert summary(ran) == counts(labelled=1, rejected=1, faults=faults)
    assert labels(tmp_path) == {0: 1.5}


def test_the_champion_decides_what_a_label_is(
    service: Client, artifacts: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_SIGNING_KEY", KEY)
    session = Session(connect(f"sqlite:///{tmp_path}/predictions.db"))
    registry = Registry(ModelStore(session), Promotions(session), (KEY,), 2**30, lambda _: {})
    registry.promote(registry.register(read_content(artifacts["iris"]), "me").version, "me")
    session.close()
    (tmp_path / "a.csv").write_text("id,true_class\n0,1\n1,setosa\n")

    ran = run("a.csv", "--rejects", "r.ndjson", "--json")

    assert summary(ran)["rejected"] == 1
    assert json.loads((tmp_path / "r.ndjson").read_text())["expected"].startswith('one of "setosa"')


@pytest.mark.usefixtures("service")
def test_the_same_run_goes_on_and_another_one_begins_at_its_first_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_: Any) -> None:
        raise KeyboardInterrupt

    write(tmp_path / "a.parquet")
    with monkeypatch.context() as patched:
        patched.setattr(LabelFileLog, "finish", stop)
        assert run("a.parquet").exit_code == 1
    (tmp_path / "a.parquet").rename(tmp_path / "b.parquet")

    assert summary(run("b.parquet", "--json", "--sep", ";")) == counts(unchanged=4)
    ran = run("b.parquet")
    assert ran.stderr.startswith("An earlier run had recorded 4 rows.\n0 rows were labelled, 0 corrected, 0 unchanged")
    assert summary(run("b.parquet", "--json")) == counts(unchanged=4)


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--id", "nope"), "--id nope: the input has no such column; its columns are id, true_class."),
        (("--true-class", "nope"), "--true-class nope: the input has no such column"),
        (("none.csv",), "none.csv does not exist."),
        (("-",), "Say with --input-format what standard input holds."),
    ],
)
def test_what_does_not_fit_is_one_sentence(options: tuple[str, ...], sentence: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,true_class\n1,1\n")

    ran = run("a.csv", *options)

    assert ran.exit_code == 1
    assert sentence in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


@pytest.mark.usefixtures("service")
def test_a_database_that_cannot_be_used_now_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.csv").write_text("id,true_class\n1,1\n")

    def fail(*_: Any) -> Any:
        raise OperationalError("database is locked")

    monkeypatch.setattr(LabelFileLog, "_move", fail)

    ran = run("a.csv")

    assert (ran.exit_code, ran.stderr) == (
        1,
        "Error: The log is not available now: database is locked. Repeat the command to go on.\n",
    )


def test_without_a_log_nothing_is_created(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,true_class\n1,1\n")

    ran = run("a.csv")

    assert (ran.exit_code, ran.stderr) == (
        1,
        "Error: The database of DATABASE_URL has no log. `python -m service migrate` creates one.\n",
    )
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_usage_is_2() -> None:
    assert run().exit_code == 2
    for option in (("--sep", "ab"), ("--encoding", "none-such"), ("--rejects", "r.ndjson.gz")):
        assert run("a.csv", *option).exit_code == 2


@pytest.mark.long  # starts a server
def test_labels_come_from_a_bucket(service: Client, s3: S3, tmp_path: Path) -> None:
    put(f"{s3.url}/in/a.csv", b"id,true_class\n0,1\n")
    put(f"{s3.url}/in/b.ndjson", b'{"id": 1, "true_class": 0}\n{"id": 9, "true_class": 0}\n')

    ran = run(f"{s3.url}/in", "--rejects", f"{s3.url}/rejects.ndjson", "--json")

    assert summary(ran)["labelled"] == 2
    assert labels(tmp_path) == {0: True, 1: False}


def test_the_rejects_never_replace_the_input(service: Client, tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_text('{"id": 0, "true_class": 1}\n')

    (tmp_path / "mine.ndjson").write_text("mine")

    other = run("a.ndjson", "--rejects", "mine.ndjson")
    ran = run("a.ndjson", "--rejects", "./a.ndjson", "--force")

    assert (other.exit_code, (tmp_path / "mine.ndjson").read_text()) == (1, "mine")
    assert "mine.ndjson exists; give another name, or use --force to replace it." in other.stderr
    assert ran.exit_code == 2
    assert "./a.ndjson is a file of the input; name another one with --rejects." in ran.stderr
    assert (tmp_path / "a.ndjson").read_text() == '{"id": 0, "true_class": 1}\n'
