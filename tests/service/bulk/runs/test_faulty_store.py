"""A store that fails: what passes is tried again, and otherwise the run ends with one sentence and nothing half
written."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from serialize.files import object_store
from service.__main__ import main
from service.bulk.files import parts
from tests.service.bulk.stored import get, put
from tests.support.faulty_store import Fault, FaultyStore, faulty_store
from tests.support.moto import S3, SECRET
from tests.support.passengers import ARTIFACTS, all_passengers

pytestmark = pytest.mark.long  # starts servers

ROWS = 400


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ARTIFACTS", str(ARTIFACTS))
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/none.db")
    monkeypatch.setattr(parts, "_PART_ROWS", ROWS // 4)
    monkeypatch.setattr(object_store, "PATIENCE_SECONDS", 1.2)


@pytest.fixture
def given(s3: S3, tmp_path: Path) -> str:
    rows = [{"key": i, **row} for i, row in enumerate(all_passengers()[:ROWS])]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet", row_group_size=ROWS // 4)
    put(f"{s3.url}/in/a.parquet", (tmp_path / "a.parquet").read_bytes())
    return f"{s3.url}/in/a.parquet"


@pytest.fixture
def proxy(s3: S3, given: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyStore]:
    """The store, through a proxy that lets nothing fail yet."""
    with faulty_store(s3.server, lambda method, path, number: None) as store:
        monkeypatch.setenv("AWS_ENDPOINT_URL", store.address)
        yield store


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ("score", *arguments, "--id", "key", "--json"))


@pytest.mark.parametrize(
    ("method", "fault"), [("GET", "500"), ("GET", "hang"), ("GET", "half"), ("PUT", "500"), ("PUT", "hang")]
)
def test_a_fault_that_passes_changes_nothing(method: str, fault: Fault, s3: S3, given: str, proxy: FaultyStore) -> None:
    assert run(given, "-o", f"{s3.url}/whole.ndjson").exit_code == 0
    failed: set[str] = set()
    proxy.fails = first_of_each(method, fault, failed)

    ran = run(given, "-o", f"{s3.url}/out.ndjson")

    assert ran.exit_code == 0, ran.output
    assert failed
    assert get(f"{s3.url}/out.ndjson") == get(f"{s3.url}/whole.ndjson")


def first_of_each(method: str, fault: Fault, failed: set[str]) -> Callable[[str, str, int], Fault | None]:
    """Lets the first request of this method for each file fail, and notes the file."""

    def fails(one: str, path: str, _: int) -> Fault | None:
        if one != method or path in failed:
            return None
        failed.add(path)
        return fault

    return fails


@pytest.mark.parametrize("fault", ["500", "hang", "half"])
def test_a_file_that_cannot_be_read_is_one_sentence(fault: Fault, s3: S3, given: str, proxy: FaultyStore) -> None:
    proxy.fails = lambda method, path, number: fault if method == "GET" and "/in/" in path else None

    ran = run(given, "-o", f"{s3.url}/out.ndjson")

    assert (ran.exit_code, ran.stderr.count("\n")) == (1, 1), ran.stderr
    assert ran.stderr.startswith(f"Error: {given} cannot be read: ")
    assert get(f"{s3.url}/out.ndjson") is None


@pytest.mark.parametrize("fault", ["500", "hang"])
@pytest.mark.parametrize("output", ["out.ndjson", "out/"])
def test_a_store_that_takes_nothing_is_one_sentence(
    fault: Fault, output: str, s3: S3, given: str, proxy: FaultyStore
) -> None:
    proxy.fails = lambda method, path, number: fault if method in ("PUT", "POST") and "/in/" not in path else None

    ran = run(given, "-o", f"{s3.url}/{output}")

    assert (ran.exit_code, ran.stderr.count("\n")) == (1, 1), ran.stderr
    assert ran.stderr.startswith(f"Error: {s3.url}/out")
    assert SECRET not in ran.stderr
    proxy.fails = lambda method, path, number: None
    again = run(given, "-o", f"{s3.url}/{output}")
    assert again.exit_code == 0, again.output
    assert json.loads(again.stderr)["earlier"] == 0


def test_a_folder_goes_on_after_the_store_has_failed(s3: S3, given: str, proxy: FaultyStore) -> None:
    proxy.fails = lambda method, path, number: "500" if method == "PUT" and "part-000000-000002" in path else None

    assert run(given, "-o", f"{s3.url}/out/").exit_code == 1
    proxy.fails = lambda method, path, number: None
    ran = run(given, "-o", f"{s3.url}/out/")

    assert ran.exit_code == 0, ran.output
    summary = json.loads(ran.stderr)
    assert (summary["scored"], summary["earlier"]) == (ROWS, ROWS // 2)
