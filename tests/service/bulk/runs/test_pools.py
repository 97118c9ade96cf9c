"""Parts are scored in several processes, and on the workers of a cluster."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from distributed import Client

from benchmarks.bulk.cluster import Cluster, cluster
from serialize.training import cluster as connection
from service.__main__ import main
from service.bulk.files import parts, text_reader
from service.bulk.runs import cluster as cluster_module
from tests.service.bulk.stored import get, put
from tests.support.moto import S3, new_bucket
from tests.support.passengers import ARTIFACTS, all_passengers
from tests.support.waiting import until

ROWS, GROUP = 20_000, 500

pytestmark = pytest.mark.long  # starts processes


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ARTIFACTS", str(ARTIFACTS))
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/none.db")
    monkeypatch.setattr(parts, "_PART_ROWS", GROUP)


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory, s3_address: str) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("cluster"), new_bucket(s3_address).variables) as started:
        yield started


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ("score", *arguments, "--id", "key", "--json"))


@pytest.fixture
def given(tmp_path: Path) -> str:
    """A Parquet file of many row groups; every tenth passenger is too old."""
    rows = [{**row, "Age": 500.0} if i % 10 == 5 else row for i, row in enumerate(all_passengers()[:500])]
    table = pa.concat_tables([pa.Table.from_pylist(rows)] * (ROWS // 500))
    pq.write_table(table.append_column("key", pa.array(range(ROWS))), tmp_path / "a.parquet", row_group_size=GROUP)
    return "a.parquet"


def ids(folder: Path) -> list[int]:
    found: list[int] = ds.dataset(folder).to_table().column("id").to_pylist()
    return found


EXPECTED = [i for i in range(ROWS) if i % 500 % 10 != 5]


def kill_one(processes: list[int], folder: Path, done: list[int]) -> None:
    """Kills a process as soon as a few parts are complete."""
    until(lambda: len(list((folder / "_done").glob("*"))) > 3)
    os.kill(processes[0], signal.SIGKILL)
    done.append(len(list((folder / "_done").glob("*"))))


def test_two_processes_give_the_answers_of_one(given: str, tmp_path: Path) -> None:
    whole = run(given, "-o", "one.parquet", "--rejects", "one.ndjson")

    for place in ("two.parquet", "two/"):
        ran = run(given, "-o", place, "--rejects", "two.ndjson", "--workers", "2", "--force")

        assert ran.exit_code == 0, ran.output
        assert (tmp_path / "one.ndjson").read_bytes() == (tmp_path / "two.ndjson").read_bytes()
        assert ds.dataset(place).to_table().equals(pq.read_table("one.parquet"))
        summary, expected = json.loads(ran.stderr), json.loads(whole.stderr)
        assert summary["faults"] == expected["faults"]


def test_the_rows_of_text_go_to_other_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_reader, "_LINES_BYTES", 3_000)
    monkeypatch.setattr(text_reader, "_CSV_BYTES", 3_000)
    rows = [{"key": i, **row} for i, row in enumerate(all_passengers()[:300])]
    (tmp_path / "a.ndjson").write_text("\n".join(map(json.dumps, rows)))
    pa.Table.from_pylist(rows).to_pandas().to_csv(tmp_path / "b.csv", index=False)

    ran = run("a.ndjson", "b.csv", "-o", "out.ndjson", "--workers", "2", "--keep", "Sex")

    assert ran.exit_code == 0, ran.output
    lines = [json.loads(line) for line in (tmp_path / "out.ndjson").read_text().splitlines()]
    assert [line["id"] for line in lines] == [*range(300), *range(300)]


def test_an_error_in_another_process_is_one_sentence(given: str, tmp_path: Path) -> None:
    content = bytearray((tmp_path / given).read_bytes())
    middle = pq.read_metadata(given).row_group(20).column(0).data_page_offset
    content[middle : middle + 40] = bytes(40)
    (tmp_path / given).write_bytes(content)

    ran = run(given, "-o", "out.parquet", "--workers", "2")

    assert (ran.exit_code, ran.stderr.count("\n")) == (1, 1), ran.stderr
    assert ran.stderr.startswith("Error: a.parquet cannot be read: ")
    assert not (tmp_path / "out.parquet").exists()


def test_a_part_whose_process_is_killed_is_scored_by_another_one(given: str, tmp_path: Path) -> None:
    done: list[int] = []

    def kill() -> None:
        until(lambda: bool(children()))
        kill_one(children(), tmp_path / "out", done)

    killer = threading.Thread(target=kill)
    killer.start()
    ran = run(given, "-o", "out/", "--workers", "2")
    killer.join()

    assert ran.exit_code == 0, ran.output
    assert done[0] < ROWS // GROUP
    assert ids(tmp_path / "out") == EXPECTED
    assert not list((tmp_path / "out").rglob("*.partial"))


def children() -> list[int]:
    """The processes that score for this one."""
    found = psutil.Process().children()
    return [one.pid for one in found if any("spawn_main" in part for part in one.cmdline())]


def test_no_process_outlives_a_command_that_is_killed(given: str, tmp_path: Path) -> None:
    options = ("-", "-o", "out.parquet", "--input-format", "csv", "--id", "key", "--workers", "2")
    command = [sys.executable, "-m", "service", "score", given, *options]
    environment = {**os.environ, "PYTHONPATH": str(ARTIFACTS.parent)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment) as process:  # it waits for standard input
        until(lambda: len(psutil.Process(process.pid).children()) >= 2)
        started = psutil.Process(process.pid).children(recursive=True)
        process.kill()

    _, alive = psutil.wait_procs(started, timeout=30)
    assert not alive
    assert not (tmp_path / "out.parquet").exists()


def test_a_cluster_reads_a_bucket_and_writes_into_it(dask: Cluster, s3: S3, given: str, tmp_path: Path) -> None:
    rows = pq.read_table(given).slice(0, 2000)
    pq.write_table(rows, tmp_path / "some.parquet", row_group_size=GROUP)
    rows.slice(0, 100).to_pandas().to_csv(tmp_path / "b.csv", index=False)
    for name in ("some.parquet", "b.csv"):
        put(f"{s3.url}/in/{name}", (tmp_path / name).read_bytes())
    assert run("b.csv", "some.parquet", "-o", "one.ndjson", "--rejects", "one-rejects.ndjson").exit_code == 0

    out = f"{s3.url}/out/"
    ran = run(f"{s3.url}/in", "-o", out, "--format", "ndjson", "--rejects", "r.ndjson", "--scheduler", dask.address)

    assert ran.exit_code == 0, ran.output
    names = ["part-000000-000000", *(f"part-000001-00000{i}" for i in range(4))]
    assert b"".join(get(f"{out}{name}.ndjson") or b"" for name in names) == (tmp_path / "one.ndjson").read_bytes()
    single = run(f"{s3.url}/in", "-o", f"{s3.url}/out.ndjson", "--scheduler", dask.address)
    assert single.exit_code == 0, single.output
    assert get(f"{s3.url}/out.ndjson") == (tmp_path / "one.ndjson").read_bytes()


def test_every_row_is_there_once_when_a_worker_is_killed(dask: Cluster, given: str, tmp_path: Path) -> None:
    done: list[int] = []
    killer = threading.Thread(target=kill_one, args=(dask.worker_ids(), tmp_path / "out", done))
    killer.start()
    ran = run(given, "-o", "out/", "--scheduler", dask.address)
    killer.join()

    assert ran.exit_code == 0, ran.output
    assert done[0] < ROWS // GROUP
    assert ids(tmp_path / "out") == EXPECTED
    assert not list((tmp_path / "out").rglob("*.partial"))


def test_a_scheduler_that_is_lost_is_one_sentence(given: str, tmp_path: Path) -> None:
    with cluster(tmp_path, {}) as own:
        with Client(own.address, set_as_default=False) as client:
            scheduler = client.run_on_scheduler(os.getpid)
        killer = threading.Thread(target=kill_one, args=([scheduler], tmp_path / "out", []))
        killer.start()
        ran = run(given, "-o", "out/", "--scheduler", own.address)
        killer.join()

    assert (ran.exit_code, type(ran.exception)) == (1, SystemExit), ran.exception
    assert ran.stderr.endswith(f"Error: The connection to the scheduler {own.address} broke off.\n")


def test_a_cluster_that_does_not_fit_is_one_sentence(
    dask: Cluster, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "version", lambda name: "0.1" if name == "numpy" else version(name))

    ran = run(given, "-o", "out/", "--scheduler", dask.address)

    assert ran.exit_code == 1
    assert " has numpy " in ran.stderr
    assert ran.stderr.endswith(", and this machine has 0.1; install the same.\n")


def test_a_worker_without_the_package_is_one_sentence(
    dask: Cluster, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = os.getpid()

    def versions() -> dict[str, str]:
        if os.getpid() != here:
            raise ModuleNotFoundError("No module named 'service'")
        return {}

    monkeypatch.setattr(cluster_module, "installed_versions", versions)

    ran = run(given, "-o", "out/", "--scheduler", dask.address)

    assert (ran.exit_code, ran.stderr.count("\n")) == (1, 1)
    assert "cannot load prediction-service (No module named 'service'); install it there" in ran.stderr


def test_a_scheduler_that_is_not_there_is_one_sentence(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "PATIENCE_SECONDS", 1)

    ran = run(given, "-o", "out/", "--scheduler", "tcp://127.0.0.1:9")

    assert ran.exit_code == 1
    assert ran.stderr == "Error: The scheduler tcp://127.0.0.1:9 cannot be reached; is it running?\n"
