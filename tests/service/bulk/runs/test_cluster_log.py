"""The workers of a cluster log what they score, each row once."""

import os
import signal
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from benchmarks.bulk.cluster import cluster
from serialize.files.place_error import PlaceError
from service.__main__ import main
from service.bulk.files import parts
from service.bulk.log.same_log import SameLog
from service.settings import Settings
from service.storage.connection import connect
from service.storage.migrate import prepare
from tests.conftest import empty_postgresql
from tests.support.passengers import ARTIFACTS, all_passengers
from tests.support.waiting import until

ROWS, GROUP = 20_000, 500

pytestmark = pytest.mark.long  # starts processes


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, postgresql_url: str) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ARTIFACTS", str(ARTIFACTS))
    monkeypatch.setenv("DATABASE_URL", postgresql_url)
    monkeypatch.setattr(parts, "_PART_ROWS", GROUP)
    table = pa.concat_tables([pa.Table.from_pylist(all_passengers()[:500])] * (ROWS // 500))
    pq.write_table(table.append_column("key", pa.array(range(ROWS))), tmp_path / "a.parquet", row_group_size=GROUP)


def run(address: str) -> Result:
    options = ("--id", "key", "--json", "--log", "--scheduler", address)
    return CliRunner().invoke(main, ("score", "a.parquet", "-o", "out/", *options))


def logged(url: str) -> list[str]:
    with (database := connect(url)).connection_context():
        return [key for (key,) in database.execute_sql("SELECT observation_id FROM prediction").fetchall()]


def test_each_row_is_logged_once_when_a_worker_is_killed(tmp_path: Path, postgresql_url: str) -> None:
    with cluster(tmp_path, {"DATABASE_URL": postgresql_url}, threads=8) as dask:

        def kill_one() -> None:
            until(lambda: len(list((tmp_path / "out" / "_done").glob("*"))) > 2)
            os.kill(dask.worker_ids()[0], signal.SIGKILL)

        killer = threading.Thread(target=kill_one)
        killer.start()
        ran = run(dask.address)
        killer.join()

    assert ran.exit_code == 0, ran.output
    assert sorted(map(int, logged(postgresql_url))) == list(range(ROWS))
    assert ds.dataset(tmp_path / "out").to_table().column("id").to_pylist() == list(range(ROWS))


def test_a_worker_with_another_log_ends_the_run(tmp_path: Path, postgresql_url: str, postgresql_server: str) -> None:
    other = empty_postgresql(postgresql_server)
    prepare(connect(other))
    with cluster(tmp_path, {"DATABASE_URL": other}) as dask:
        ran = run(dask.address)

    assert (ran.exit_code, type(ran.exception)) == (1, SystemExit), ran.exception
    last = ran.stderr.splitlines()[-1]
    assert last.startswith("Error: The DATABASE_URL of the worker tcp://127.0.0.1:")
    assert last.endswith(" names another database than that of this command.")
    assert logged(postgresql_url) == logged(other) == []


def refused(settings: Settings) -> str:
    with pytest.raises(PlaceError) as error:
        SameLog.of(settings)
    return str(error.value)


def test_a_log_in_sqlite_is_refused_before_anything_is_scored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/own.db")

    ran = run("tcp://127.0.0.1:1")
    settings = Settings.from_env()

    assert SameLog(1, 2).difference("tcp://host:1") == f"The worker tcp://host:1 cannot log. {refused(settings)}"
    assert ran.exit_code == 1
    assert ran.stderr.splitlines()[-1].endswith("--log with --scheduler needs PostgreSQL.")
    assert not (tmp_path / "own.db").exists()
