"""A file of labels leaves the log as one POST /update for each of its rows does, also in several runs."""

import io
import itertools
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serialize.content import read_content
from serialize.files.places import input_files
from service.bulk.files.rows import CsvOptions
from service.bulk.labels import label_files as module
from service.bulk.labels.label_files import LabelCounts, label_files
from service.bulk.labels.label_reader import LabelReader
from service.storage.bulk.label_files import LabelFileLog, Position
from service.storage.connection import connect
from service.storage.session import Session
from service.storage.tables import LabelCorrection, LabelFile, Prediction
from tests.conftest import Client, MakeClient, empty_postgresql
from tests.support.passengers import ARTIFACTS, PASSENGER

TASK = read_content(ARTIFACTS).manifest.task
IDS = 4

_numbers = itertools.count()
_TEXTS: dict[str, Any] = {"0": 0, "1": 1, "true": True, "False": False, "1.0": 1, "2": "2", "x": "x", "": None}
_LABELS: dict[str, Any] = {
    ".ndjson": st.sampled_from([0, 1, True, False, 1.0, 2, "true", "1", None]),
    ".csv": st.sampled_from(sorted(_TEXTS)),
    ".parquet": st.sampled_from([0, 1, 2, None]),
}


class Logs(NamedTuple):
    """Two services with logs of their own, and the sessions of these. Labels are posted to the first, and files are
    read into the second."""

    posted: Client
    labelled: Client
    session_of_posted: Session
    session: Session


@pytest.fixture(params=["sqlite", "postgresql"])
def logs(request: pytest.FixtureRequest, make_client: MakeClient, tmp_path: Path) -> Iterator[Logs]:
    urls = []
    for name in ("posted", "labelled"):
        if request.param == "sqlite":
            shutil.copy(request.getfixturevalue("prepared_sqlite"), tmp_path / f"{name}.db")
            urls.append(f"sqlite:///{tmp_path}/{name}.db")
        else:
            prepared = request.getfixturevalue("prepared_postgresql")
            urls.append(empty_postgresql(request.getfixturevalue("postgresql_server"), prepared))
    clients = [make_client(database_url=url) for url in urls]
    with closing(Session(connect(urls[0]))) as first, closing(Session(connect(urls[1]))) as second:
        yield Logs(clients[0], clients[1], first, second)


def write(path: Path, pairs: Sequence[tuple[Any, Any]]) -> None:
    """A file with the columns id, true_class and another one."""
    match path.suffix:
        case ".ndjson":
            items = [{"id": id_, "true_class": label, "x": 1} for id_, label in pairs]
            path.write_text("\n".join(map(json.dumps, items)))
        case ".csv":
            path.write_text("x,true_class,id\n" + "".join(f"1,{label},{id_}\n" for id_, label in pairs))
        case _:
            ids, labels = zip(*pairs, strict=True)
            table = pa.table({"id": pa.array(ids), "true_class": pa.array(labels), "x": range(len(pairs))})
            pq.write_table(table, path, row_group_size=2)


def run(session: Session, path: Path, rows_at_once: int = 2) -> tuple[LabelCounts, list[dict[str, Any]]]:
    """Labels a file in chunks; returns what became of the rows, and the rejects."""
    rejects = io.BytesIO()
    log = LabelFileLog(session, "a", regression=False)
    with patch.object(module, "_ROWS_AT_ONCE", rows_at_once):
        counts = label_files(
            LabelReader(TASK, "id"), log, input_files([str(path)]), CsvOptions(), rejects, lambda share, rows: None
        )
    log.finish()
    return counts, [json.loads(line) for line in rejects.getvalue().splitlines()]


def state(session: Session, first: int) -> dict[str, Any]:
    """The labels and the replaced labels, in their order, of the ids from `first` on."""
    session.database.connect(reuse_if_open=True)
    rows = Prediction.select().order_by(Prediction.id).execute(session.database)
    found = {
        json.loads(row.observation_id): (row.true_class, row.labelled_at is not None)
        for row in rows
        if json.loads(row.observation_id) >= first
    }
    ids = {row.id: json.loads(row.observation_id) for row in rows}
    replaced = LabelCorrection.select().order_by(LabelCorrection.id).execute(session.database)
    history = [(ids[one.prediction_id], one.replaced_class) for one in replaced if ids[one.prediction_id] >= first]
    return {"labels": found, "history": sorted(history, key=lambda one: one[0])}


def kinds_of(counts: LabelCounts) -> dict[str, int]:
    return {**counts.recorded, "rejected": counts.rejected}  # type: ignore[dict-item]


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_does_what_one_post_for_each_row_does(logs: Logs, tmp_path: Path, data: st.DataObject) -> None:
    first = next(_numbers) * 100
    predictions = [{"id": first + i, "observation": PASSENGER} for i in range(IDS)]
    for client in (logs.posted, logs.labelled):
        assert client.post("/predict", json=predictions).status_code == 200
    ending = data.draw(st.sampled_from(sorted(_LABELS)))
    ids: Any = st.integers(0, IDS)  # the last one is unknown
    if ending == ".ndjson":
        ids |= st.sampled_from([None, "", "a", True, 0.5])
    drawn = data.draw(st.lists(st.tuples(ids, _LABELS[ending]), min_size=1, max_size=9))
    pairs = [(first + id_ if type(id_) is int else id_, label) for id_, label in drawn]
    path = tmp_path / f"{first}{ending}"
    write(path, pairs)

    counts, rejects = run(logs.session, path)

    posted, faults = 0, []
    for number, (id_, label) in enumerate(pairs):
        value = _TEXTS[label] if ending == ".csv" else label
        response = logs.posted.post("/update", json={"id": id_, "true_class": value})
        posted += response.status_code == 200
        faults += [{"file": str(path), "row_number": number, **one} for one in response.json.get("errors", [])]
    assert rejects == faults
    assert counts.recorded.total() == posted
    assert counts.rows == len(pairs)
    assert state(logs.session, first) == state(logs.session_of_posted, first)


def test_a_run_that_stops_goes_on_and_writes_all_rejects(
    client: Client, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictions = [{"id": i, "observation": PASSENGER} for i in range(6)]
    assert client.post("/predict", json=predictions).status_code == 200
    path = tmp_path / "a.parquet"
    write(path, [(0, 1), (1, 5), (9, 1), (0, 0), (2, 1), (3, 1), (4, None), (5, 1), (0, 1)])
    take, calls = LabelFileLog.take, itertools.count(1)

    def stop(log: LabelFileLog, labels: Any, end: Position) -> Any:
        if next(calls) == 3:
            raise KeyboardInterrupt
        return take(log, labels, end)

    with monkeypatch.context() as patched:
        patched.setattr(LabelFileLog, "take", stop)
        with pytest.raises(KeyboardInterrupt):
            run(session, path)
    before = state(session, 0)
    assert before["labels"][0] == ("false", True)
    assert before["history"] == [(0, "true")]

    counts, rejects = run(session, path)

    assert kinds_of(counts) == {"done before": 3, "labelled": 2, "corrected": 1, "rejected": 3}
    assert [(one["row_number"], one["pointer"]) for one in rejects] == [
        (1, "/true_class"),
        (2, "/id"),
        (6, "/true_class"),
    ]
    after = state(session, 0)
    assert after["history"] == [(0, "true"), (0, "false")]
    assert [label for label, _ in after["labels"].values()] == ["true", None, "true", "true", None, "true"]
    assert LabelFile.select().count(session.database) == 0


def test_a_run_may_go_on_within_a_chunk(
    client: Client, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.post("/predict", json=[{"id": i, "observation": PASSENGER} for i in range(2)]).status_code == 200
    path = tmp_path / "a.csv"
    write(path, [(0, 1), (0, 0), (0, 1), (1, 1), (1, 0)])
    take = LabelFileLog.take

    def stop(log: LabelFileLog, labels: Any, end: Position) -> Any:
        if end.next_row > 2:
            raise KeyboardInterrupt
        return take(log, labels, end)

    with monkeypatch.context() as patched:
        patched.setattr(LabelFileLog, "take", stop)
        with pytest.raises(KeyboardInterrupt):
            run(session, path)

    counts, _ = run(session, path, rows_at_once=4)

    assert kinds_of(counts) == {"done before": 2, "corrected": 2, "labelled": 1, "rejected": 0}
    assert state(session, 0)["history"] == [(0, "true"), (0, "false"), (1, "true")]


def test_the_same_file_again_changes_nothing(client: Client, session: Session, tmp_path: Path) -> None:
    assert client.post("/predict", json=[{"id": i, "observation": PASSENGER} for i in range(3)]).status_code == 200
    path = tmp_path / "a.csv"
    write(path, [(0, 1), (1, 0), (2, 1)])

    first, _ = run(session, path)
    before = state(session, 0)
    second, _ = run(session, path)

    assert kinds_of(first) == {"labelled": 3, "rejected": 0}
    assert kinds_of(second) == {"unchanged": 3, "rejected": 0}
    assert state(session, 0) == before


def test_a_service_can_write_between_two_chunks_of_sqlite(tmp_path: Path, prepared_sqlite: Path) -> None:
    shutil.copy(prepared_sqlite, tmp_path / "log.db")
    write(tmp_path / "a.csv", [(i, 1) for i in range(8)])
    with (
        closing(Session(connect(f"sqlite:///{tmp_path}/log.db"))) as session,
        closing(Session(connect(f"sqlite:///{tmp_path}/log.db"), patience=0.0)) as other,
    ):
        written: list[str] = []

        def write_too(_: float) -> None:
            other.run(lambda: written.append("turn"))

        with patch("service.storage.bulk.label_files.time.sleep", write_too):
            run(session, tmp_path / "a.csv")

    assert written == ["turn"] * 4
