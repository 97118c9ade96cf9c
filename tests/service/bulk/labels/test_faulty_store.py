"""A store that fails while labels are read from it: what passes is tried again. Otherwise the run ends with one
sentence, and the same command goes on later: each label is recorded once."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from serialize.files import object_store
from service.__main__ import main
from service.storage.connection import connect
from service.storage.tables import LabelCorrection, Prediction
from tests.conftest import MakeClient
from tests.service.bulk.stored import get, put
from tests.support.faulty_store import Fault, FaultyStore, faulty_store
from tests.support.moto import S3, SECRET
from tests.support.passengers import ARTIFACTS, PASSENGER

pytestmark = pytest.mark.long  # starts servers

ROWS = 40
UNKNOWN = 1000  # an id that the log does not have


@pytest.fixture
def proxy(s3: S3, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FaultyStore]:
    """A store that does not fail yet, with the labels of `ROWS` predictions of the log: half of them in each of two
    files, and the second one has a row with an unknown id."""
    service = make_client()
    items = [{"id": number, "observation": PASSENGER} for number in range(ROWS)]
    assert service.post("/predict", json=items).status_code == 200
    columns = {"id": range(ROWS // 2), "true_class": [is_true(number) for number in range(ROWS // 2)]}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    put(f"{s3.url}/in/a.parquet", (tmp_path / "a.parquet").read_bytes())
    lines = [json.dumps({"id": number, "true_class": is_true(number)}) for number in (*range(ROWS // 2, ROWS), UNKNOWN)]
    put(f"{s3.url}/in/b.ndjson", "\n".join(lines).encode())
    monkeypatch.setenv("ARTIFACTS", str(ARTIFACTS))
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/predictions.db")
    monkeypatch.setattr(object_store, "PATIENCE_SECONDS", 0.75)
    with faulty_store(s3.server, lambda method, path, number: None) as store:
        monkeypatch.setenv("AWS_ENDPOINT_URL", store.address)
        yield store


def is_true(number: int) -> bool:
    return number % 3 == 0


def run(s3: S3) -> Result:
    """Records the labels of the store, and writes the rejects into it."""
    return CliRunner().invoke(main, ("label", f"{s3.url}/in", "--rejects", f"{s3.url}/rejects.ndjson", "--json"))


def counts(ran: Result) -> dict[str, int]:
    assert ran.exit_code == 0, ran.output
    found: dict[str, Any] = json.loads(ran.stderr)
    return {name: found[name] for name in ("labelled", "corrected", "unchanged", "done_before", "rejected")}


def of_run(labelled: int, done_before: int) -> dict[str, int]:
    return {"labelled": labelled, "corrected": 0, "unchanged": 0, "done_before": done_before, "rejected": 1}


def require_labels(folder: Path, ids: range) -> None:
    """Fails unless the predictions with these ids, and no others, have their label, and no label was replaced."""
    database = connect(f"sqlite:///{folder}/predictions.db")
    with database.connection_context():
        rows = list(Prediction.select().where(Prediction.labelled_at.is_null(False)).execute(database))
        assert not list(LabelCorrection.select().execute(database))
    found = {json.loads(row.observation_id): json.loads(row.true_class) for row in rows}
    assert found == {number: is_true(number) for number in ids}


def require_rejects(s3: S3) -> None:
    """Fails unless the rejects are whole."""
    (line,) = (get(f"{s3.url}/rejects.ndjson") or b"").splitlines()
    assert (json.loads(line)["file"], json.loads(line)["value"]) == (f"{s3.url}/in/b.ndjson", UNKNOWN)


@pytest.mark.parametrize("fault", ["500", "hang", "half"])
def test_a_fault_that_passes_changes_nothing(fault: Fault, s3: S3, proxy: FaultyStore, tmp_path: Path) -> None:
    failed: set[str] = set()

    def fails(method: str, path: str, _: int) -> Fault | None:
        if method != "GET" or "/in/" not in path or path in failed:
            return None
        failed.add(path)
        return fault

    proxy.fails = fails

    assert counts(run(s3)) == of_run(labelled=ROWS, done_before=0)
    assert len(failed) == 2
    require_labels(tmp_path, range(ROWS))
    require_rejects(s3)


@pytest.mark.parametrize("fault", ["500", "hang", "half"])
def test_a_run_goes_on_after_the_store_has_failed(fault: Fault, s3: S3, proxy: FaultyStore, tmp_path: Path) -> None:
    proxy.fails = lambda method, path, number: fault if method == "GET" and "b.ndjson" in path else None

    ran = run(s3)

    assert (ran.exit_code, ran.stderr.count("\n")) == (1, 1), ran.stderr
    assert ran.stderr.startswith(f"Error: {s3.url}/in/b.ndjson cannot be read: ")
    assert SECRET not in ran.stderr
    require_labels(tmp_path, range(ROWS // 2))
    assert get(f"{s3.url}/rejects.ndjson") is None

    proxy.fails = lambda method, path, number: None
    assert counts(run(s3)) == of_run(labelled=ROWS // 2, done_before=ROWS // 2)
    require_labels(tmp_path, range(ROWS))
    require_rejects(s3)


def test_rejects_that_the_store_does_not_take_come_with_the_next_run(
    s3: S3, proxy: FaultyStore, tmp_path: Path
) -> None:
    proxy.fails = lambda method, path, number: "500" if method in ("PUT", "POST") else None

    ran = run(s3)

    assert (ran.exit_code, ran.stderr.count("\n")) == (1, 1), ran.stderr
    assert ran.stderr.startswith(f"Error: {s3.url}/rejects.ndjson cannot be written: ")
    require_labels(tmp_path, range(ROWS))
    assert get(f"{s3.url}/rejects.ndjson") is None

    proxy.fails = lambda method, path, number: None
    assert counts(run(s3)) == of_run(labelled=0, done_before=ROWS)
    require_labels(tmp_path, range(ROWS))
    require_rejects(s3)
