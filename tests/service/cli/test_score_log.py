"""`python -m service score --log` appends each row to the log as POST /predict does."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from serialize import load
from serialize.recipes import RECIPES
from service.__main__ import main
from service.storage.connection import connect
from service.storage.migrate import prepare
from service.storage.tables import Prediction
from tests.conftest import Client, MakeClient
from tests.support import killed
from tests.support.passengers import ARTIFACTS, PASSENGER, all_passengers, prediction

TEXTS = ("observation_id", "observation", "predicted_class", "threshold", "model_version")


@pytest.fixture(autouse=True)
def nice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database_url: str) -> list[int]:
    """The new environment, and by how much the command lowers its priority; here it does not."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ARTIFACTS", str(ARTIFACTS))
    monkeypatch.setenv("DATABASE_URL", database_url)
    lowered: list[int] = []
    monkeypatch.setattr("os.nice", lowered.append)
    return lowered


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ("score", *arguments, "--log", "--json", "--rejects", "rejects.ndjson", "--force"))


def summary(ran: Result) -> tuple[int, int, int]:
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.stderr)
    return found["scored"], found["replayed"], found["rejected"]


def answers(path: str = "out.ndjson") -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def rejects() -> list[tuple[int, str, Any]]:
    return [(one["row_number"], one["pointer"], one["value"]) for one in answers("rejects.ndjson")]


def logged(url: str) -> dict[str, Any]:
    """The rows of the log by observation_id."""
    with connect(url) as database:
        return {row.observation_id: row for row in Prediction.select().execute(database)}


def observations(name: str) -> list[dict[str, Any]]:
    if name == "titanic":
        return all_passengers()[:40]
    rows: list[dict[str, Any]] = json.loads(RECIPES[name]().X[:40].to_json(orient="records", double_precision=15))
    return rows


def write(path: str, ids: list[Any], rows: list[dict[str, Any]]) -> None:
    """Writes the rows with their ids, in CSV and Parquet as the column `key`."""
    table = pd.DataFrame([{"key": id_, **row} for id_, row in zip(ids, rows, strict=True)])
    match Path(path).suffix:
        case ".parquet":
            pq.write_table(pa.Table.from_pandas(table, preserve_index=False), path, row_group_size=15)
        case ".csv":
            table.to_csv(path, index=False)
        case _:
            items = [{"id": id_, "observation": row} for id_, row in zip(ids, rows, strict=True)]
            Path(path).write_text("".join(json.dumps(item) + "\n" for item in items))


def key_option(path: str) -> tuple[str, ...]:
    return () if path.endswith(".ndjson") else ("--id", "key")


@pytest.mark.parametrize("given", ["in.parquet", "in.csv", "in.ndjson"])
@pytest.mark.parametrize("name", ["titanic", "iris", "diabetes"])
def test_the_log_has_the_rows_of_a_post(
    name: str,
    given: str,
    database_url: str,
    artifacts: dict[str, Path],
    make_client: MakeClient,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    rows = observations(name)
    ids = list(range(40)) if given == "in.parquet" else [f'p\\{i}"é' for i in range(40)]
    items = [{"id": id_, "observation": row} for id_, row in zip(ids, rows, strict=True)]
    monkeypatch.setenv("ARTIFACTS", str(artifacts[name]))
    write(given, ids, rows)
    settings = {"artifacts": str(artifacts[name])}
    other = f"sqlite:///{tmp_path}/other.db"
    make_client(database_url=other, **settings).post("/predict", json=items)

    assert summary(run(given, "-o", "out.ndjson", *key_option(given))) == (40, 0, 0)

    found, expected = logged(database_url), logged(other)
    assert sorted(found) == sorted(expected)
    for key, row in expected.items():
        assert {text: getattr(found[key], text) for text in TEXTS} == {text: getattr(row, text) for text in TEXTS}
        assert found[key].proba == pytest.approx(row.proba, abs=1e-12)
        assert found[key].predicted_value == pytest.approx(row.predicted_value, abs=1e-9)
        assert _probas(found[key]) == pytest.approx(_probas(row), abs=1e-12)
    service = make_client(database_url=database_url, **settings)
    answered = service.post("/predict", json=items)
    assert answered.headers["Idempotent-Replayed"] == "true"
    for one, other_one in zip(answers(), answered.json, strict=True):
        assert one["id"] == other_one["observation_id"]
        assert {name: one[name] for name in one if name in other_one and name != "id"} == {
            name: other_one[name] for name in one if name in other_one and name != "id"
        }
    column, changed = next((column, value) for column, value in rows[0].items() if isinstance(value, float))
    conflict = {"id": ids[0], "observation": {**rows[0], column: changed + 0.001}}
    assert service.post("/predict", json=conflict).status_code == 409


def _probas(row: Any) -> Any:
    return None if row.probas is None else json.loads(row.probas)


def test_rows_that_go_one_by_one_are_logged_too(database_url: str, client: Client) -> None:
    rows: list[dict[str, Any]] = [{**PASSENGER, "Age": age} for age in ("٣", 4, "5", "6.0", "1e1")]
    write("in.csv", [1, 2, 3, 4, 5], rows)

    assert summary(run("in.csv", "-o", "out.ndjson", "--id", "key")) == (5, 0, 0)

    for id_, age in enumerate((3, 4, 5, 6, 10), start=1):
        answer = client.post("/predict", json=prediction(id_, Age=age))
        assert answer.headers["Idempotent-Replayed"] == "true"
        assert answers()[id_ - 1]["proba"] == answer.json["proba"]


def test_a_second_run_replays_every_row(database_url: str) -> None:
    write("in.parquet", list(range(40)), observations("titanic"))
    assert summary(run("in.parquet", "-o", "out.parquet", "--id", "key")) == (40, 0, 0)
    before, first = logged(database_url), Path("out.parquet").read_bytes()

    assert summary(run("in.parquet", "-o", "out.parquet", "--id", "key")) == (40, 40, 0)

    assert Path("out.parquet").read_bytes() == first
    assert {key: row.id for key, row in logged(database_url).items()} == {key: row.id for key, row in before.items()}


def test_a_replayed_row_gets_the_answer_that_is_stored(database_url: str) -> None:
    write("in.csv", [1, 2, 3], [PASSENGER] * 3)
    run("in.csv", "-o", "out.ndjson", "--id", "key")
    with connect(database_url) as database:
        stored = {"proba": 0.875, "predicted_class": "true", "model_version": "0" * 12}
        Prediction.update(stored).where(Prediction.observation_id == "2").execute(database)
        Prediction.update(model_version=None).where(Prediction.observation_id == "3").execute(database)

    assert summary(run("in.csv", "-o", "out.ndjson", "--id", "key")) == (3, 3, 0)

    first, second, third = answers()
    assert second == {"id": 2, "predicted_class": True, "proba": 0.875, "model_version": "0" * 12}
    assert third == {**first, "id": 3, "model_version": None}


def test_an_answer_of_another_kind_of_model_is_a_conflict(database_url: str) -> None:
    write("in.csv", [1, 2, 3, 4], [PASSENGER] * 4)
    run("in.csv", "-o", "out.ndjson", "--id", "key")
    with connect(database_url) as database:
        for key, stored in {
            "1": {"proba": None, "predicted_class": None, "predicted_value": 1.5},
            "2": {"predicted_class": '"setosa"'},
            "3": {"probas": '{"false":0.5,"true":0.5}'},
        }.items():
            Prediction.update(stored).where(Prediction.observation_id == key).execute(database)

    ran = run("in.csv", "-o", "out.ndjson", "--id", "key")

    assert summary(ran) == (1, 1, 3)
    assert [one["id"] for one in answers()] == [4]
    assert json.loads(ran.stderr)["faults"] == [{"kind": "conflict", "pointer": "/id", "faults": 3}]


def test_another_observation_is_a_conflict_and_changes_nothing(database_url: str, client: Client) -> None:
    client.post("/predict", json=[prediction(1), prediction(2, Age=5)])
    before = logged(database_url)["2"].observation
    write("in.csv", [1, 2, 3], [PASSENGER, {**PASSENGER, "Age": 6}, PASSENGER])

    ran = run("in.csv", "-o", "out.ndjson", "--id", "key")

    assert summary(ran) == (2, 1, 1)
    assert [one["id"] for one in answers()] == [1, 3]
    assert rejects() == [(1, "/id", 2)]
    assert answers("rejects.ndjson")[0]["detail"] == client.post("/predict", json=prediction(2, Age=6)).json["detail"]
    assert json.loads(ran.stderr)["faults"] == [{"kind": "conflict", "pointer": "/id", "faults": 1}]
    assert logged(database_url)["2"].observation == before


@pytest.mark.parametrize("given", ["in.csv", "in.ndjson"])
def test_an_id_that_occurs_twice_counts_once(given: str, database_url: str) -> None:
    other = {**PASSENGER, "Age": 5.0}
    write(given, [7, 8, 7, 7, 8], [PASSENGER, other, PASSENGER, other, other])

    assert summary(run(given, "-o", "out.ndjson", *key_option(given))) == (4, 2, 1)

    assert [one["id"] for one in answers()] == [7, 8, 7, 8]
    assert answers()[0] == answers()[2]
    assert rejects() == [(3, "/id", 7)]
    assert sorted(logged(database_url)) == ["7", "8"]


def test_integers_and_texts_are_different_ids(database_url: str) -> None:
    write("in.ndjson", [7, "7", "a"], [PASSENGER] * 3)

    assert summary(run("in.ndjson", "-o", "out.ndjson")) == (3, 0, 0)

    assert sorted(logged(database_url)) == ['"7"', '"a"', "7"]


def test_a_rejected_row_is_not_logged(database_url: str) -> None:
    write("in.csv", [1, 2], [PASSENGER, {**PASSENGER, "Sex": "x"}])

    assert summary(run("in.csv", "-o", "out.ndjson", "--id", "key")) == (1, 0, 1)

    assert list(logged(database_url)) == ["1"]


def test_the_log_needs_ids(database_url: str) -> None:
    write("in.csv", [1], [PASSENGER])
    Path("in.ndjson").write_text(json.dumps(PASSENGER) + "\n")

    without, lines = run("in.csv", "-o", "out.ndjson"), run("in.ndjson", "-o", "out.ndjson")

    assert (without.exit_code, lines.exit_code) == (2, 1)
    assert without.stderr.endswith("--log needs ids; name their column with --id.\n")
    assert lines.stderr == (
        "Error: --log needs ids; name their column with --id, or give each line of NDJSON an id and an observation.\n"
    )
    assert not Path("out.ndjson").exists()


def test_a_line_without_an_id_is_a_fault_if_others_have_one(database_url: str) -> None:
    lines = [prediction(1), PASSENGER, prediction(2)]
    Path("in.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines))

    assert summary(run("in.ndjson", "-o", "out.ndjson")) == (2, 0, 1)

    assert rejects() == [(1, "/id", None)]
    assert sorted(logged(database_url)) == ["1", "2"]


def test_without_the_option_nothing_is_logged(database_url: str) -> None:
    prepare(connect(database_url))
    write("in.csv", [1], [PASSENGER])

    ran = CliRunner().invoke(main, ("score", "in.csv", "-o", "out.ndjson", "--id", "key"))

    assert ran.exit_code == 0, ran.output
    assert logged(database_url) == {}


def test_a_database_that_cannot_be_used_is_one_sentence(
    database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write("in.csv", [1], [PASSENGER])
    prepare(connect(database_url))
    if database_url.startswith("sqlite"):
        with sqlite3.connect(tmp_path / "predictions.db") as database:
            database.execute("ALTER TABLE prediction RENAME TO other")
        database.close()
    else:
        monkeypatch.setenv("DATABASE_URL", "postgresql://postgres@127.0.0.1:1/none")

    ran = run("in.csv", "-o", "out.ndjson", "--id", "key")

    assert ran.exit_code == 1
    assert ran.stderr.startswith("Error: ")
    assert ran.stderr.count("\n") == 1
    assert not Path("out.ndjson").exists()


@pytest.mark.long  # starts processes
def test_a_run_that_is_killed_at_any_step_is_finished_by_the_next(database_url: str, tmp_path: Path) -> None:
    rows = [{**PASSENGER, "Fare": i / 100} for i in range(6000)]
    pq.write_table(pa.Table.from_pylist([{"key": i, **row} for i, row in enumerate(rows)]), "in.parquet")
    arguments = ("score", "in.parquet", "-o", "out.ndjson", "--id", "key", "--log", "--json")
    variables = {"DATABASE_URL": database_url, "ARTIFACTS": str(ARTIFACTS)}
    prepare(connect(database_url))

    counts = []
    for die_before in (5, 15, 17, 0) if database_url.startswith("sqlite") else (4, 6, 8, 0):
        ended = killed.run(arguments, variables, tmp_path / "output", die_before)
        assert ended == (killed.KILLED if die_before else 0), (tmp_path / "output").read_text()
        assert Path("out.ndjson").exists() == (die_before == 0)
        counts.append(len(logged(database_url)))

    assert counts[0] == 0
    assert 0 < counts[1] < 6000  # between two transactions
    assert counts == sorted(counts)
    assert [one["id"] for one in answers()] == list(range(6000))
    assert {key: row.observation for key, row in logged(database_url).items()} == {
        str(i): json.dumps(row, separators=(",", ":")) for i, row in enumerate(_ordered(rows))
    }


def _ordered(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = load(ARTIFACTS).manifest.signature.names
    return [{name: row[name] for name in names} for row in rows]


def test_a_run_that_logs_has_the_lowest_priority(nice: list[int]) -> None:
    pd.DataFrame([{"id": 1, **PASSENGER}]).to_csv("in.csv", index=False)

    assert summary(run("in.csv", "-o", "out.ndjson", "--id", "id")) == (1, 0, 0)

    assert nice == [19]
