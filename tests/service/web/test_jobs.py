"""Jobs over HTTP: who may queue one, what refuses it, and what a client sees of it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from serialize import load
from service.storage.learning.jobs import FAILED, SUCCEEDED, JobStore
from service.storage.learning.tables import WorkerSeen
from service.storage.session import Session
from tests.conftest import Client, MakeClient
from tests.support.flipped import make
from tests.support.passengers import ARTIFACTS
from tests.support.waiting import until

KEY, ADMIN = "a-key-of-sixteen-characters", "another-key-of-many-characters"
SIGNING = "k" * 32
NOTHING: dict[str, Any] = {
    "promote": False,
    "window": None,
    "max_rows": None,
    "holdout": None,
    "since": None,
    "until": None,
    "ids": None,
    "cluster": None,
    "guard": [],
}


@pytest.fixture
def client(make_client: MakeClient, database_url: str) -> Client:
    """A client with a key of the administration."""
    client = make_client(database_url=database_url, model_signing_key=SIGNING, api_key=(KEY,), admin_key=(ADMIN,))
    client.environ_base["HTTP_X_API_KEY"] = ADMIN
    return client


@pytest.fixture
def jobs(client: Client, session: Session) -> JobStore:
    """The jobs of the client's database, where a worker was just seen."""
    jobs = JobStore(session)
    jobs.saw_worker("here:1")
    return jobs


def assert_problem(answer: Any, status: int, slug: str, *words: str) -> None:
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    assert answer.json["type"].endswith(":" + slug)
    for word in words:
        assert word in answer.json["detail"]


def test_a_retraining_is_queued_and_its_location_shows_it(client: Client, jobs: JobStore) -> None:
    body = {
        "promote": True,
        "window": "30d",
        "max_rows": 5000.0,
        "holdout": 1000,
        "since": "2026-01-01",
        "until": "2026-02-01T12:00:00Z",
        "ids": "order-",
        "cluster": "Cabin",
        "guard": ["Sex", "Pclass", "Sex"],
    }

    answer = client.post("/admin/retrain", json=body)

    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/admin/jobs/{answer.json['id']}"
    assert answer.json["arguments"] == {**body, "max_rows": 5000, "guard": ["Sex", "Pclass"]}
    assert (answer.json["kind"], answer.json["state"], answer.json["attempt"]) == ("retrain", "queued", 0)
    assert answer.json["created_by"].startswith("http:")
    assert client.get(answer.headers["Location"]).json == answer.json
    listed = client.get("/admin/jobs").json
    assert listed["jobs"] == [answer.json]
    assert 0 <= listed["worker_seen"] < 60
    job = jobs.claim("here:1")
    assert job is not None
    assert job.arguments == answer.json["arguments"]


def test_a_client_sees_how_far_a_job_is_and_what_it_found(client: Client, jobs: JobStore) -> None:
    id_ = client.post("/admin/retrain").json["id"]
    jobs.claim("here:1")
    jobs.beat(id_, 1, 0.25, "It reads the labelled rows.")
    running = client.get(f"/admin/jobs/{id_}").json
    jobs.finish(id_, 1, SUCCEEDED, {"outcome": "better"})
    done = client.get(f"/admin/jobs/{id_}/").json

    assert (running["state"], running["progress"], running["worker"]) == ("running", 0.25, "here:1")
    assert running["message"] == "It reads the labelled rows."
    assert running["arguments"] == NOTHING
    for name in ("created_at", "started_at", "heartbeat"):
        assert datetime.fromisoformat(running[name]) <= datetime.now(UTC) + timedelta(seconds=5)
    assert (done["state"], done["progress"], done["result"]) == ("succeeded", 1, {"outcome": "better"})
    assert done["finished_at"] is not None


def test_one_retraining_at_a_time(client: Client, jobs: JobStore) -> None:
    id_ = client.post("/admin/retrain", json={}).json["id"]

    assert_problem(client.post("/admin/retrain", json={}), 409, "job-conflict", "queued or running", "DELETE")
    jobs.claim("here:1")
    assert_problem(client.post("/admin/retrain", json={}), 409, "job-conflict", "queued or running")
    jobs.finish(id_, 1, FAILED, error="why")
    assert client.post("/admin/retrain", json={}).status_code == 202
    assert [job["error"] for job in client.get("/admin/jobs?limit=2").json["jobs"]] == [None, "why"]


def test_without_a_worker_the_command_is_named(client: Client, session: Session) -> None:
    assert_problem(client.post("/admin/retrain"), 409, "job-conflict", "`python -m service worker`")
    assert client.get("/admin/jobs").json == {"jobs": [], "worker_seen": None}

    JobStore(session).saw_worker("here:1")
    silent = WorkerSeen.update(seen_at=datetime.now(UTC) - timedelta(seconds=90))
    session.run(lambda: silent.execute(session.database))

    assert_problem(client.post("/admin/retrain"), 409, "job-conflict", "60 s", "`python -m service worker`")
    assert client.get("/admin/jobs").json["worker_seen"] > 60


def test_a_job_is_cancelled_once(client: Client, jobs: JobStore) -> None:
    id_ = client.post("/admin/retrain").json["id"]

    answer = client.delete(f"/admin/jobs/{id_}")

    assert (answer.status_code, answer.json["state"]) == (200, "cancelled")
    assert_problem(client.delete(f"/admin/jobs/{id_}"), 409, "job-conflict", "cancelled")
    assert jobs.claim("here:1") is None


@pytest.mark.parametrize("job", ["0", "7", "x", "-1", "1.0", "9" * 19, "9" * 40, "%00", "%ff", "\u0661"])
def test_an_unknown_job_is_404(client: Client, job: str) -> None:
    for answer in (client.get(f"/admin/jobs/{job}"), client.delete(f"/admin/jobs/{job}")):
        assert_problem(answer, 404, "unknown-job", "There is no job")


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "limit=1&limit=2", "state=failed"])
def test_a_wrong_parameter_is_named(client: Client, query: str) -> None:
    answer = client.get(f"/admin/jobs?{query}")

    assert_problem(answer, 422, "invalid-query")
    assert [fault["pointer"] for fault in answer.json["errors"]] == [f"/{query.partition('=')[0]}"]


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ([], [""]),
        ("promote", [""]),
        ({"promote": None}, ["/promote"]),
        ({"promote": 1, "promoted": True}, ["/promote", "/promoted"]),
        ({name: {} for name in NOTHING}, sorted(f"/{name}" for name in NOTHING)),
        (dict.fromkeys(NOTHING, ""), sorted(f"/{name}" for name in NOTHING)),
        ({"window": 0, "max_rows": 0}, ["/max_rows", "/window"]),
        ({"window": True, "max_rows": True}, ["/max_rows", "/window"]),
        ({"window": 1.5, "max_rows": 2**63}, ["/max_rows", "/window"]),
        ({"window": "0d", "max_rows": "5"}, ["/max_rows", "/window"]),
        ({"window": "30"}, ["/window"]),
        ({"window": "30d\n"}, ["/window"]),
        ({"since": 20260101, "until": "yesterday"}, ["/since", "/until"]),
        ({"since": "2026-02-30"}, ["/since"]),
        ({"ids": "a\0"}, ["/ids"]),
        ({"ids": "\ud800"}, ["/ids"]),
        ({"ids": "x" * 256}, ["/ids"]),
        ({"cluster": ["Sex"], "guard": "Sex"}, ["/cluster", "/guard"]),
        ({"cluster": "Deck", "guard": ["Sex", "Deck"]}, ["/cluster", "/guard"]),
        ({"guard": [["Sex"], None]}, ["/guard"]),
    ],
)
def test_every_fault_of_a_body_is_named(client: Client, jobs: JobStore, body: Any, pointers: list[str]) -> None:
    answer = client.post("/admin/retrain", json=body)

    assert_problem(answer, 422, "invalid-body")
    assert sorted(fault["pointer"] for fault in answer.json["errors"]) == pointers
    assert jobs.newest(1) == []


@pytest.mark.parametrize("body", [{}, {**NOTHING, "guard": None}, {"window": 1, "max_rows": 2**63 - 1}, {"guard": []}])
def test_every_member_of_a_body_may_be_missing(client: Client, jobs: JobStore, body: dict[str, Any]) -> None:
    answer = client.post("/admin/retrain", json=body)

    assert answer.status_code == 202
    assert answer.json["arguments"] == {**NOTHING, **body, "guard": []}


def test_only_an_administrator_may_see_queue_and_cancel_jobs(client: Client, jobs: JobStore) -> None:
    id_ = client.post("/admin/retrain").json["id"]
    requests = [("POST", "/admin/retrain"), ("GET", "/admin/jobs"), ("GET", f"/admin/jobs/{id_}")]
    for method, path in [*requests, ("DELETE", f"/admin/jobs/{id_}")]:
        for key, status in (("", 401), ("wrong-key-of-16-characters", 401), (KEY, 403)):
            assert client.open(path, method=method, headers={"X-API-Key": key}).status_code == status

    assert jobs.job(id_).state == "queued"


def test_where_the_registry_is_off_the_reason_is_named(make_client: MakeClient, postgresql_url: str) -> None:
    client = make_client(database_url=postgresql_url, admin_key=(ADMIN,))

    answer = client.post("/admin/retrain", headers={"X-API-Key": ADMIN})

    assert_problem(answer, 422, "cannot-learn", "MODEL_SIGNING_KEY")


def test_where_no_other_model_may_serve_the_reason_is_named(make_client: MakeClient) -> None:
    client = make_client(admin_key=(ADMIN,), model_digest=load(ARTIFACTS).digest)

    answer = client.post("/admin/retrain", headers={"X-API-Key": ADMIN})

    assert_problem(answer, 422, "cannot-learn", "MODEL_DIGEST")


def test_a_champion_without_training_data_is_named_at_once(
    make_client: MakeClient, tmp_path: Path, database_url: str
) -> None:
    make(tmp_path / "bare", include_training_data=False)
    client = make_client(
        database_url=database_url, model_signing_key=SIGNING, admin_key=(ADMIN,), artifacts=str(tmp_path / "bare")
    )

    answer = client.post("/admin/retrain", headers={"X-API-Key": ADMIN})

    assert_problem(answer, 422, "cannot-learn", "include_training_data=True")


def test_all_is_503_while_the_database_is_away(client: Client, jobs: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_: Any) -> None:
        raise OSError

    with monkeypatch.context() as patched:
        patched.setattr(Session, "_open", away)
        answers = [
            client.post("/admin/retrain"),
            client.get("/admin/jobs"),
            client.get("/admin/jobs/1"),
            client.delete("/admin/jobs/1"),
        ]

    for answer in answers:
        assert_problem(answer, 503, "unavailable")
    assert client.post("/admin/retrain").status_code == 202


def test_metrics_show_the_jobs(client: Client, jobs: JobStore) -> None:
    id_ = client.post("/admin/retrain").json["id"]
    jobs.claim("here:1")
    jobs.finish(id_, 1, FAILED, error="why")

    def shows_the_failure() -> bool:
        text = client.get("/metrics").text
        newest = 'prediction_service_newest_job{kind="retrain",state="failed"} 1.0'
        return newest in text and 'prediction_service_jobs{state="failed"} 1.0' in text

    until(shows_the_failure)


def test_what_clients_change_leaves_lines_in_the_log(
    client: Client, jobs: JobStore, caplog: pytest.LogCaptureFixture
) -> None:
    job = client.post("/admin/retrain").json
    client.delete(f"/admin/jobs/{job['id']}")

    found = {record.msg: vars(record)["fields"] for record in caplog.records if record.msg.startswith("job-")}
    fields = {"job": job["id"], "kind": "retrain", "by": job["created_by"]}
    assert found == {"job-queued": fields, "job-cancelled": fields}
