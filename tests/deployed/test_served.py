"""The promises of the service, tested as it is deployed: gunicorn, two workers, SQLite and PostgreSQL."""

import contextlib
import json
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from peewee import Database

from serialize import load
from service.client import Client
from service.storage.connection import connect
from service.storage.migrate import MIGRATIONS
from service.storage.tables import Prediction
from tests.conftest import empty_postgresql
from tests.support.passengers import ARTIFACTS, PASSENGER, PROBA, PROJECT, all_passengers, prediction
from tests.support.served import Served, environment, free_port, serve
from tests.support.waiting import until
from tests.support.wire import answer, connected, until_closed, with_length

SENDERS = 50


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a database of each kind, in which each test has ids of its own."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path_factory.mktemp('shared')}/log.db"
    return empty_postgresql(request.getfixturevalue("postgresql_server"))


@pytest.fixture(scope="module")
def served(shared_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("served"), shared_url) as served:
        yield served


def rows(database_url: str, prefix: str = "") -> list[Any]:
    """The rows whose ids, as JSON, begin with this text."""
    database: Database
    with connect(database_url) as database:
        stored = Prediction.select().order_by(Prediction.id).execute(database)
        return [row for row in stored if row.observation_id.startswith(prefix)]


def send_all(served: Served, bodies: list[dict[str, Any]]) -> list[requests.Response]:
    """Posts each body to /predict, fifty at a time."""
    with ThreadPoolExecutor(SENDERS) as pool:
        return list(pool.map(lambda body: served.post("/predict", body), bodies))


def run(*command: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Runs a command in the project's folder, with only the path and these variables."""
    return subprocess.run(
        command, cwd=PROJECT, env=environment(**variables), capture_output=True, text=True, timeout=60, check=False
    )


def test_a_prediction_and_its_true_class_survive_kill_9_and_a_restart(tmp_path: Path, database_url: str) -> None:
    with serve(tmp_path, database_url) as served:
        predicted = served.post("/predict", prediction(0)).json()
        updated = served.post("/update", {"id": 0, "true_class": 1}).json()
        served.kill()

    with serve(tmp_path, database_url) as served:
        again = served.post("/predict", prediction(0))

    assert predicted["proba"] == pytest.approx(PROBA, abs=1e-4)
    assert updated == {**predicted, "true_class": True, "observation": PASSENGER}
    assert again.json() == {**predicted, "true_class": True}
    assert again.headers["Idempotent-Replayed"] == "true"


def test_fifty_senders_of_one_id_make_one_row_and_fifty_equal_answers(served: Served, shared_url: str) -> None:
    responses = send_all(served, [prediction("same")] * SENDERS)

    assert [response.status_code for response in responses] == [200] * SENDERS
    assert len({response.text for response in responses}) == 1
    assert sum("Idempotent-Replayed" not in response.headers for response in responses) == 1
    assert [row.observation_id for row in rows(shared_url, '"same')] == ['"same"']


def test_fifty_senders_of_one_id_with_two_observations_store_the_answered_one(served: Served, shared_url: str) -> None:
    responses = send_all(served, [prediction("two", Age=20 + i % 2) for i in range(SENDERS)])

    (row,) = rows(shared_url, '"two')
    answered = [response.json()["proba"] for response in responses if response.status_code == 200]
    assert {response.status_code for response in responses} == {200, 409}
    assert set(answered) == {row.proba}


@pytest.mark.long  # 10,000 requests
def test_five_thousand_ids_from_fifty_senders_give_five_thousand_correct_rows(served: Served, shared_url: str) -> None:
    passengers = all_passengers()
    expected = load(ARTIFACTS).model.outputs(passengers)[:, 1]

    with Client(served.url, timeout=60) as client, ThreadPoolExecutor(SENDERS) as pool:
        answers = list(pool.map(lambda i: client.predict(i, passengers[i % len(passengers)]), range(5000)))

    for i, found in enumerate(answers):
        assert found.observation_id == i
        assert found.proba == pytest.approx(expected[i % len(passengers)], abs=1e-9)
    stored = {row.observation_id: row.proba for row in rows(shared_url) if row.observation_id.isdecimal()}
    assert stored == {str(i): found.proba for i, found in enumerate(answers)}


def test_a_worker_that_is_killed_while_it_answers_loses_nothing(served: Served, shared_url: str) -> None:
    def send(i: int) -> tuple[str, float] | None:
        try:
            response = requests.post(served.url + "/predict", json=prediction(f"k-{i}", Age=i % 100), timeout=20)
        except requests.RequestException:
            return None
        return (f'"k-{i}"', response.json()["proba"]) if response.ok else None

    with ThreadPoolExecutor(20) as pool:
        sending = pool.map(send, range(600))
        for _ in range(3):
            time.sleep(0.2)
            until(lambda: len(served.workers()) == 2)  # without workers, the master would be the one found
            served.workers()[0].kill()
        acknowledged = [answer for answer in sending if answer is not None]

    stored = {row.observation_id: row.proba for row in rows(shared_url)}
    assert len(acknowledged) > 100
    assert {id_: stored.get(id_) for id_, _ in acknowledged} == dict(acknowledged)


@pytest.mark.long
def test_open_requests_are_answered_when_the_service_stops(tmp_path: Path, database_url: str) -> None:
    senders = [requests.Session() for _ in range(8)]

    def send(i: int) -> int:
        return senders[i].post(f"{url}/predict", json=prediction(i), timeout=20).status_code

    with serve(tmp_path, database_url) as served, ThreadPoolExecutor(8) as pool:
        url = served.url
        for sender in senders:
            sender.get(f"{url}/livez", timeout=5)
        sending = [pool.submit(send, i) for i in range(8)]
        until(lambda: any(future.done() for future in sending))
        served.process.terminate()
        statuses = [future.result() for future in sending]
        served.process.wait(60)

    assert statuses == [200] * 8
    for sender in senders:
        sender.close()


@pytest.mark.long
def test_idle_connections_do_not_delay_a_stop(tmp_path: Path) -> None:
    with serve(tmp_path, f"sqlite:///{tmp_path}/log.db") as served:
        sessions = [requests.Session() for _ in range(10)]
        for session in sessions:
            session.get(served.url + "/livez", timeout=5)
        served.process.terminate()
        began = time.monotonic()
        served.process.wait(60)

    assert time.monotonic() - began < 10
    for session in sessions:
        session.close()


@pytest.mark.long
def test_a_new_connection_is_answered_when_the_service_stops(tmp_path: Path) -> None:
    def ask(connection: socket.socket) -> bytes | None:
        with connection:
            time.sleep(0.3)
            try:
                connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                return connection.recv(65536)
            except ConnectionResetError:  # it may be heard while the request is sent, or only afterwards
                return None

    asked: list[Future[bytes | None]] = []
    with serve(tmp_path, f"sqlite:///{tmp_path}/log.db") as served, ThreadPoolExecutor(20) as pool:
        served.process.terminate()
        with contextlib.suppress(ConnectionRefusedError):
            while len(asked) < 200:
                asked.append(pool.submit(ask, socket.create_connection(("127.0.0.1", served.port), timeout=10)))
                time.sleep(0.02)

    answers = [future.result() for future in asked]
    assert answers.count(None) <= 1  # it arrived between the last accept and the close
    assert answers
    assert {answer[:15] for answer in answers if answer is not None} <= {b"HTTP/1.1 200 OK"}


@pytest.mark.long
def test_connections_in_the_queue_are_answered_when_a_worker_stops(tmp_path: Path) -> None:
    with (
        serve(tmp_path, f"sqlite:///{tmp_path}/log.db", variables={"WEB_CONCURRENCY": "1"}) as served,
        contextlib.ExitStack() as stack,
    ):
        (worker,) = served.workers()
        worker.suspend()
        connections = [stack.enter_context(connected(served)) for _ in range(20)]
        for connection in connections:
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        worker.terminate()
        worker.resume()
        answered = [until_closed(connection) for connection in connections]

    assert [answer[:12] for answer in answered] == [b"HTTP/1.1 200"] * len(connections)


@pytest.mark.long
def test_pipelined_requests_get_complete_responses_when_the_service_stops(tmp_path: Path) -> None:
    database_url = f"sqlite:///{tmp_path}/log.db"
    with serve(tmp_path, database_url) as served, connected(served) as connection:
        connection.sendall(b"".join(with_length(json.dumps(prediction(i)).encode()) for i in range(300)))
        first = connection.recv(1)
        served.process.terminate()
        answered = first + until_closed(connection)

    assert 0 < answered.count(b"HTTP/1.1 200") < 300
    assert answered.count(b"HTTP/1.1 200") == len(rows(database_url))
    assert answered.count(b"Connection: close") == 1


def test_invalid_http_gets_problem_json(tmp_path: Path) -> None:
    with serve(tmp_path, f"sqlite:///{tmp_path}/log.db") as served:
        long_url = requests.get(served.url + "/" + "x" * 10_000, timeout=5)
        long_header = requests.get(served.url, headers={"X-Long": "x" * 100_000}, timeout=5)

    assert [long_url.status_code, long_header.status_code] == [414, 431]
    assert {answer.headers["Content-Type"] for answer in (long_url, long_header)} == {"application/problem+json"}
    assert long_url.json()["status"] == 414


def test_a_log_line_describes_the_request_without_values_of_the_observation(tmp_path: Path, database_url: str) -> None:
    with serve(tmp_path, database_url, variables={"LOG_LEVEL": "debug"}) as served:
        served.post("/predict", prediction("a-1", Cabin="SECRET-CABIN", Age=33.125), headers={"X-Request-ID": "req-1"})
        served.post("/predict", prediction("a-2", Cabin="SECRET-CABIN", Age="SECRET-AGE"))
        served.post("/update", {"id": "a-1", "true_class": 1})

    log = served.log.read_text()

    version = load(ARTIFACTS).version
    assert re.search(
        rf"event=request method=POST path=/predict status=200 ms=[0-9.]+ request_id=req-1 observation_id=a-1 "
        rf"model_version={version}$",
        log,
        re.MULTILINE,
    )
    assert f"event=start name=titanic version={version} task=binary database=" in log
    assert "SECRET" not in log
    assert "33.125" not in log
    assert all(line.startswith("time=") for line in log.splitlines())


def test_the_access_log_that_a_buildpack_enables_does_not_repeat_the_request_lines(tmp_path: Path) -> None:
    enabled = {"GUNICORN_CMD_ARGS": "--access-logfile -"}
    with serve(tmp_path, f"sqlite:///{tmp_path}/log.db", variables=enabled) as served:
        served.post("/predict", prediction(1))

    assert served.log.read_text().count("/predict") == 1


def test_a_full_disk_for_the_log_does_not_stop_the_service(tmp_path: Path) -> None:
    command = ("sh", "-c", "exec gunicorn app:app >/dev/full")
    request = with_length(json.dumps(prediction(0)).encode())

    with serve(tmp_path, f"sqlite:///{tmp_path}/log.db", command) as served, connected(served) as connection:
        statuses = []
        for _ in range(3):
            connection.sendall(request)
            statuses.append(answer(connection).status)

    assert statuses == [200] * 3
    assert served.process.returncode == 0


@pytest.mark.long
def test_a_postgresql_service_holds_few_connections(tmp_path: Path, postgresql_url: str) -> None:
    with serve(tmp_path, postgresql_url) as served:
        send_all(served, [prediction(i) for i in range(500)])
        for _ in range(20):
            requests.get(served.url + "/readyz", timeout=5)
        with connect(postgresql_url) as database:
            query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'prediction-service'"
            (connections,) = database.execute_sql(query).fetchone()

    assert 1 <= connections - 1 <= 4


@pytest.mark.parametrize(
    "variables",
    [
        {"DATABASE_URL": "sqlite:///log.db", "DYNO": "web.1"},
        {"PORT": "none"},
        {"DATABASE_URL": "mysql://u:SECRET@h/d"},
        {"ARTIFACTS": "nowhere"},
    ],
    ids="-".join,
)
def test_a_service_with_an_invalid_setting_does_not_start_and_names_it(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    given = {"PORT": str(free_port()), "DATABASE_URL": f"sqlite:///{tmp_path}/log.db", **variables}

    ended = run("gunicorn", "app:app", **given)

    said = ended.stdout + ended.stderr
    assert ended.returncode != 0
    assert "Traceback" not in said
    assert "SECRET" not in said
    assert next(iter(variables)) in said


@pytest.mark.long  # installs and starts as the platform does
def test_every_line_of_the_procfile_runs_with_the_variables_of_heroku(tmp_path: Path, postgresql_url: str) -> None:
    lines = dict(line.split(": ", 1) for line in (PROJECT / "Procfile").read_text().splitlines())
    heroku_url = postgresql_url.replace("postgresql://", "postgres://")

    release = run("honcho", "run", *lines["release"].split(), DATABASE_URL=heroku_url, PORT="1")
    with serve(tmp_path, heroku_url, command=("honcho", "run", *lines["web"].split())) as served:
        answer = served.post("/predict", prediction(0)).json()

    assert set(lines) == {"web", "release", "worker"}
    assert_worker_runs(lines["worker"], heroku_url, tmp_path / "worker.log")
    assert release.returncode == 0, release.stderr
    assert f"{len(list(MIGRATIONS.glob('0*.py')))} migrations ran now" in release.stdout
    assert answer["proba"] == pytest.approx(PROBA, abs=1e-4)


def assert_worker_runs(line: str, database_url: str, log: Path) -> None:
    with log.open("wb") as output:
        variables = environment(DATABASE_URL=database_url)
        process = subprocess.Popen(line.split(), cwd=PROJECT, env=variables, stdout=output, stderr=output)
    until(lambda: process.poll() is not None or "event=worker-start" in log.read_text())
    process.terminate()
    assert process.wait(60) == 0, log.read_text()


def test_the_development_server_serves(tmp_path: Path) -> None:
    with serve(tmp_path, f"sqlite:///{tmp_path}/log.db", command=("python", "app.py")) as served:
        assert served.post("/predict", prediction(0)).json()["predicted_class"] is False


@pytest.mark.long
def test_simultaneous_connections_are_shared_among_the_workers(tmp_path: Path) -> None:
    with serve(tmp_path, f"sqlite:///{tmp_path}/log.db") as served:
        until(lambda: min(shares_of_twenty(served)) >= 4)  # may fail at first, until both workers have started


def shares_of_twenty(served: Served) -> list[int]:
    """How many of twenty simultaneous connections each worker accepts."""
    connections = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(20)]
    until(lambda: sum(map(accepted, served.workers())) == len(connections))
    shares = [accepted(worker) for worker in served.workers()]
    for connection in connections:
        connection.close()
    until(lambda: sum(map(accepted, served.workers())) == 0)
    return shares


def accepted(worker: psutil.Process) -> int:
    """The number of open connections of a worker."""
    return sum(connection.status == psutil.CONN_ESTABLISHED for connection in worker.net_connections("tcp"))
