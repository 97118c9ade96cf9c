"""GET /metrics is right in one process, over two workers, and after one worker is killed."""

import json
import re
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import requests
import yaml
from prometheus_client.parser import text_string_to_metric_families

from service.telemetry.metric_definitions import METRICS
from service.telemetry.metrics import Metrics
from service.telemetry.multiprocess_dir import MultiprocessDir
from tests.conftest import Client, MakeClient
from tests.support.passengers import PROJECT, prediction
from tests.support.served import Served, serve
from tests.support.waiting import WAIT_SECONDS

VERSION = "71d8e710b4b2"
PREFIX = "prediction_service_"
TWO_WORKERS = {"WEB_CONCURRENCY": "2"}
KEY = "a-key-of-sixteen-characters"


class Scrape:
    """The samples of a text, as Prometheus reads them."""

    def __init__(self, text: str) -> None:
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self.samples = [sample for family in self.families.values() for sample in family.samples]

    def total(self, name: str, /, **labels: str) -> float:
        """The sum of the samples of a name that have these labels."""
        wanted = labels.items()
        return sum(one.value for one in self.samples if one.name == PREFIX + name and wanted <= one.labels.items())

    def labels(self, name: str, label: str) -> set[str]:
        """The values of a label."""
        return {one.labels[label] for one in self.samples if one.name == PREFIX + name}


def scraped(served: Served) -> Scrape:
    """A scrape on a new connection, which any worker may answer."""
    answer = requests.get(served.url + "/metrics", timeout=20)
    assert answer.status_code == 200
    return Scrape(answer.text)


def in_own_dir(folder: Path) -> tuple[str, ...]:
    """The command of a service whose workers share their metrics in a folder of the test."""
    return ("gunicorn", "--worker-tmp-dir", str(folder), "app:app")


def until(scrape: Callable[[], Scrape], condition: Callable[[Scrape], bool]) -> Scrape:
    """The first scrape that meets the condition; waits at most a minute."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition(found := scrape()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def post_predictions(served: Served, ids: range) -> None:
    """POSTs predictions from sixteen senders, each on new connections."""

    def post(id_: int) -> int:
        return requests.post(served.url + "/predict", json=prediction(id_), timeout=20).status_code

    with ThreadPoolExecutor(16) as senders:
        assert set(senders.map(post, ids)) == {200}


@pytest.fixture
def metrics(tmp_path: Path) -> Iterator[Metrics]:
    made = Metrics(lambda path: path, tuple)
    made.add_model("v", {None: ""})
    made.share(MultiprocessDir.make(tmp_path))
    yield made
    made.close()


@pytest.fixture
def scrape(client: Client) -> Callable[[], Scrape]:
    return lambda: Scrape(client.get("/metrics").text)


def test_the_text_for_prometheus_has_every_metric(client: Client) -> None:
    answer = client.get("/metrics")

    assert answer.status_code == 200
    assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert set(Scrape(answer.text).families) == {metric.name.removesuffix("_total") for metric in METRICS}


def test_requests_are_counted_by_route_method_and_status(client: Client, scrape: Callable[[], Scrape]) -> None:
    for id_ in range(3):
        client.post("/predict", json=prediction(id_))
    client.post("/predict/", json=prediction(0))
    client.post("/predict", json={"id": 1})
    client.get("/predict")
    client.get("/livez")

    found = scrape()

    for name in ("requests_total", "request_duration_seconds_count"):
        assert found.total(name, route="/predict", method="POST", status="200") == 4
        assert found.total(name, route="/predict", method="POST", status="422") == 1
        assert found.total(name, route="/predict", method="GET", status="405") == 1
        assert found.total(name, route="/livez", method="GET", status="200") == 1
        assert found.total(name) == 7
    assert 0 < found.total("request_duration_seconds_sum") < 20


def test_clients_cannot_create_labels(client: Client, scrape: Callable[[], Scrape]) -> None:
    for i in range(50):
        client.get(f"/nowhere/{i}")
        client.open("/livez", method=f"METHOD{i}")
        client.get("/", environ_overrides={"PATH_INFO": f"//{i}\x85\xff"})
        client.post("/predict", json={f"column{i}": i})

    found = scrape()

    assert found.labels("requests_total", "route") == {"unknown", "/livez", "/predict"}
    assert found.labels("requests_total", "method") == {"GET", "POST", "other"}
    assert found.labels("refused_requests_total", "reason") == {"not-found", "method-not-allowed", "invalid-body"}
    assert found.total("requests_total", route="unknown", status="404") == 100


def test_refused_requests_are_counted_by_reason(make_client: MakeClient) -> None:
    client = make_client(api_key=(KEY,), max_items=1)
    admitted = {"Authorization": f"Bearer {KEY}"}
    client.post("/predict", json=prediction(0), headers=admitted)
    client.post("/predict", json=prediction(0, Age=1.0), headers=admitted)
    client.post("/predict", json=[1, 2], headers=admitted)
    client.post("/predict", data="{", content_type="application/json", headers=admitted)
    client.post("/predict", data="{", headers=admitted)
    client.post("/predict", json=prediction(0))

    found = Scrape(client.get("/metrics", headers=admitted).text)

    reasons = ("observation-conflict", "body-too-large", "malformed-body", "unsupported-body", "unauthorized")
    assert [found.total("refused_requests_total", reason=reason) for reason in reasons] == [1, 1, 1, 1, 1]
    assert found.total("refused_requests_total") == 5
    assert found.total("requests_total", route="/predict", status="401") == 1


def test_metrics_need_the_api_key(make_client: MakeClient) -> None:
    client = make_client(api_key=(KEY,))

    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"Authorization": f"Bearer {KEY}"}).status_code == 200


def test_predictions_are_counted_once_by_model_version_and_class(client: Client, scrape: Callable[[], Scrape]) -> None:
    women = [prediction(f"w{i}", Sex="female", Pclass=1) for i in range(5)]
    client.post("/predict", json=women)
    client.post("/predict", json=women)
    client.post("/predict", json=prediction(0))

    found = scrape()

    assert found.total("predictions_total", model_version=VERSION, predicted_class="true") == 5
    assert found.total("predictions_total", model_version=VERSION, predicted_class="false") == 1
    assert found.total("predictions_total") == 6
    assert found.total("model_info", model_version=VERSION, name="titanic") == 1


@pytest.mark.parametrize(("recipe", "classes"), [("iris", {"setosa", "versicolor", "virginica"}), ("diabetes", {""})])
def test_other_tasks_are_counted_too(
    recipe: str, classes: set[str], make_client: MakeClient, artifacts: dict[str, Path]
) -> None:
    client = make_client(artifacts=str(artifacts[recipe]), admin_key=(KEY,))
    client.post("/admin/seed", json={"rows": 60}, headers={"Authorization": f"Bearer {KEY}"})

    found = Scrape(client.get("/metrics").text)

    assert found.total("predictions_total") == 60
    assert found.labels("predictions_total", "predicted_class") == classes


def test_batches_are_counted_with_their_size_and_the_time_of_their_commit(
    client: Client, scrape: Callable[[], Scrape]
) -> None:
    for id_ in range(3):
        client.post("/predict", json=prediction(id_))
    client.post("/update", json={"id": 0, "true_class": 1})

    found = scrape()

    assert found.total("batch_size_count") == found.total("batch_size_sum") == 4
    assert found.total("batch_size_bucket", le="1.0") == 4
    assert found.total("commit_duration_seconds_count") == 4
    assert 0 < found.total("commit_duration_seconds_sum") < 20
    assert found.total("queue_depth") == 0


def test_the_live_metrics_are_those_of_the_performance_report(client: Client, scrape: Callable[[], Scrape]) -> None:
    ids = [f"{sex}{i}" for sex in ("male", "female") for i in range(8)]
    client.post("/predict", json=[prediction(id_, Sex=id_[:-1]) for id_ in ids])
    client.post("/update", json=[{"id": id_, "true_class": i % 3 == 0} for i, id_ in enumerate(ids[:12])])

    found = until(scrape, lambda one: one.total("labelled_predictions") == 12)

    report = client.get("/performance", query_string={"model_version": VERSION}).json
    assert found.total("logged_predictions", model_version=VERSION) == 16
    assert found.total("labelled_ratio", model_version=VERSION) == 0.75
    for name in ("accuracy", "roc_auc", "brier_score"):
        figure = report["metrics"][name]
        ends = {"performance": "value", "performance_low": "low", "performance_high": "high"}
        for metric, end in {**ends, "performance_training": "training"}.items():
            assert found.total(metric, model_version=VERSION, metric=name) == pytest.approx(figure[end])
    assert abs(time.time() - found.total("performance_timestamp_seconds")) < 60


def test_undefined_live_metrics_are_left_out(scrape: Callable[[], Scrape]) -> None:
    found = until(scrape, lambda one: one.total("performance_timestamp_seconds") > 0)

    assert found.total("logged_predictions") == 0
    assert not found.labels("performance", "metric")
    assert "accuracy" in found.labels("performance_training", "metric")


@pytest.mark.long
@pytest.mark.parametrize("number", [2, 4])
def test_the_workers_of_gunicorn_are_counted_together_and_a_killed_one_stays_counted(
    number: int, tmp_path: Path
) -> None:
    variables = {"WEB_CONCURRENCY": str(number)}
    with serve(tmp_path, f"sqlite:///{tmp_path}/log.db", in_own_dir(tmp_path), variables=variables) as served:
        post_predictions(served, range(200))
        before = [scraped(served) for _ in range(10)]
        (folder,) = _open_folders(served)
        for round_ in range(3):
            (victim, *_) = served.workers()
            victim.send_signal(signal.SIGKILL)
            victim.wait()
            until(lambda: scraped(served), lambda one: one.total("workers") == number)
            post_predictions(served, range(200 + 50 * round_, 250 + 50 * round_))
        after = [scraped(served) for _ in range(10)]
        files = sorted(path.name for path in Path(folder).glob("*.db"))
        mode = Path(folder).stat().st_mode & 0o777

    for found in before:
        assert found.total("requests_total", route="/predict", status="200") == 200
        assert found.total("predictions_total") == found.total("batch_size_sum") == 200
    for found in after:
        assert found.total("requests_total", route="/predict", status="200") == 350
        assert found.total("predictions_total") == found.total("batch_size_sum") == 350
        assert found.total("queue_depth") == 0
        assert found.total("workers") == number
    assert files == [f"{kind}_{i}.db" for kind in ("counter", "gauge_livesum", "histogram") for i in range(number)]
    assert mode == 0o700
    assert not Path(folder).exists()


@pytest.mark.long  # a reload under load
def test_a_reload_keeps_the_counts(tmp_path: Path) -> None:
    with serve(tmp_path, f"sqlite:///{tmp_path}/log.db", in_own_dir(tmp_path), variables=TWO_WORKERS) as served:
        post_predictions(served, range(20))
        old = {worker.pid for worker in served.workers()}
        served.process.send_signal(signal.SIGHUP)
        found = until(
            lambda: scraped(served),
            lambda one: one.total("workers") == 2 and not old & {worker.pid for worker in served.workers()},
        )
        post_predictions(served, range(20, 40))
        after = scraped(served)

    assert found.total("predictions_total") == 20
    assert after.total("predictions_total") == 40


@pytest.mark.long  # several services
def test_two_services_share_nothing_and_the_directory_of_a_killed_one_is_removed(tmp_path: Path) -> None:
    for name in ("one", "two", "three", "shared"):
        (tmp_path / name).mkdir()
    command = in_own_dir(tmp_path / "shared")
    with serve(tmp_path / "one", f"sqlite:///{tmp_path}/one.db", command, variables=TWO_WORKERS) as one:
        (left,) = _open_folders(one)
        with serve(tmp_path / "two", f"sqlite:///{tmp_path}/two.db", command, variables=TWO_WORKERS) as two:
            one.post("/predict", prediction(0))
            assert scraped(two).total("predictions_total") == 0
            assert scraped(one).total("predictions_total") == 1
            assert _open_folders(two) != {left}
        one.kill()
        assert Path(left).parent == tmp_path / "shared"
        with serve(tmp_path / "three", f"sqlite:///{tmp_path}/one.db", command, variables=TWO_WORKERS) as three:
            assert not Path(left).exists()
            assert scraped(three).total("predictions_total") == 0


@pytest.mark.long
def test_requests_refused_before_the_application_are_counted(tmp_path: Path) -> None:
    with serve(tmp_path, f"sqlite:///{tmp_path}/log.db", in_own_dir(tmp_path), variables=TWO_WORKERS) as served:
        assert requests.get(served.url + "/" + "x" * 5000, timeout=20).status_code == 414
        found = scraped(served)

    assert found.total("refused_requests_total", reason="LimitRequestLine") == 1


def test_the_development_server_counts_exactly_with_its_threads(tmp_path: Path) -> None:
    with serve(tmp_path, f"sqlite:///{tmp_path}/log.db", ("python", "app.py")) as served:
        post_predictions(served, range(200))
        found = scraped(served)

    assert found.total("requests_total", route="/predict", status="200") == 200
    assert found.total("request_duration_seconds_bucket", route="/predict", le="+Inf") == 200
    assert found.total("predictions_total") == 200


def test_threads_lose_no_count(metrics: Metrics) -> None:
    def count(i: int) -> None:
        for _ in range(2000):
            metrics.request(f"/{i % 4}", "GET", "200", 0.001)
            metrics.refused("reason")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(count, range(8)))
    found = Scrape(metrics.render())

    assert found.total("requests_total") == found.total("refused_requests_total") == 16_000


def test_the_directory_is_removed_at_the_end(metrics: Metrics) -> None:
    directory = metrics.directory
    assert list(directory.iterdir())

    metrics.close()

    assert not directory.exists()


def test_applications_in_one_process_share_nothing(make_client: MakeClient) -> None:
    one, other = make_client(), make_client()
    one.post("/predict", json=prediction(0))

    assert Scrape(one.get("/metrics").text).total("predictions_total") == 1
    assert Scrape(other.get("/metrics").text).total("predictions_total") == 0


def test_requests_are_answered_without_a_directory_for_metrics(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    metrics = Metrics(lambda path: path, tuple)
    metrics.add_model("v", {None: ""})

    def refuse(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(MultiprocessDir, "make", refuse)
    metrics.request("/predict", "POST", "200", 0.001)
    metrics.batch(2, 0.001, {("v", None): 2})
    metrics.refused("reason")

    with pytest.raises(OSError, match="could not be made"):
        metrics.render()


def test_dropped_lines_are_counted_from_zero(metrics: Metrics) -> None:
    metrics.waiting(0)
    before = Scrape(metrics.render())
    for _ in range(3):
        metrics.dropped_log_line()

    assert [one.name for one in before.samples].count(PREFIX + "dropped_log_lines_total") == 1
    assert before.total("dropped_log_lines_total") == 0
    assert Scrape(metrics.render()).total("dropped_log_lines_total") == 3


def test_a_full_file_system_stops_no_request(metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics.request("/before", "GET", "200", 0.001)

    def full(*_: int) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    for i in range(200):
        metrics.request(f"/{i}", "GET", "200", 0.001)
        metrics.request("/before", "GET", "200", 0.001)
    found = Scrape(metrics.render())

    assert found.total("request_duration_seconds_count", route="/before") == 201
    assert 0 < len(found.labels("request_duration_seconds_count", "route")) < 200


def test_a_file_grows_with_its_values(metrics: Metrics) -> None:
    for _ in range(2):
        for i in range(200):
            metrics.request(f"/{i}", "GET", "200", 0.001)
    found = Scrape(metrics.render())

    assert found.total("requests_total") == 400
    assert len(found.labels("requests_total", "route")) == 200


EXPOSED = {name for metric in METRICS for name in metric.sample_names}


def names_in(text: str) -> set[str]:
    return set(re.findall(rf"\b{PREFIX}\w+", text))


def test_every_metric_is_listed_with_its_type_unit_and_labels() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.+?) \| (.*?) \| (.+) \|$", _docs("metrics.md"), re.MULTILINE)

    assert rows == [
        (one.name, one.kind, one.unit, ", ".join(f"`{label}`" for label in one.labels), one.help) for one in METRICS
    ]


@pytest.mark.parametrize("name", ["grafana-dashboard.json", "alerts.yaml"])
def test_the_documents_use_only_exposed_metrics(name: str, client: Client) -> None:
    client.post("/predict", json=prediction(0))
    families = Scrape(client.get("/metrics").text).families
    exposed = {f"{one}{end}" for one in families for end in ("", "_total", "_bucket", "_sum", "_count")}

    asked = names_in(_docs(name))

    assert len(asked) > 8
    assert asked <= EXPOSED
    assert asked <= exposed


def test_the_alerts_are_valid_rules_with_existing_labels() -> None:
    (group,) = yaml.safe_load(_docs("alerts.yaml"))["groups"]

    assert len({rule["alert"] for rule in group["rules"]}) == len(group["rules"]) >= 8
    for rule in group["rules"]:
        assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
        assert_understood(rule["expr"])
        assert_known_labels(rule["expr"])


def test_the_dashboard_has_a_panel_for_every_metric() -> None:
    dashboard = json.loads(_docs("grafana-dashboard.json"))
    panels = dashboard["panels"]
    expressions = [target["expr"] for panel in panels for target in panel.get("targets", [])]

    assert dashboard["schemaVersion"] >= 39
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert {panel["type"] for panel in panels} == {"row", "timeseries", "stat"}
    for one, other in ((one, other) for one in panels for other in panels if one["id"] < other["id"]):
        assert not _overlap(one["gridPos"], other["gridPos"])
    for expression in expressions:
        assert_understood(expression)
        assert_known_labels(expression)
    asked = names_in(" ".join(expressions))
    assert all(asked & set(metric.sample_names) for metric in METRICS)


def assert_understood(expression: str) -> None:
    """Prometheus accepts the expression after Grafana fills in its variables."""
    promql_parser.parse(expression.replace("$__rate_interval", "5m"))


def assert_known_labels(expression: str) -> None:
    """Every selector of a metric names labels that the metric has, or that Prometheus adds."""
    labels = {name: metric.labels for metric in METRICS for name in metric.sample_names}
    for name, selector in re.findall(rf"({PREFIX}\w+)\{{(.*?)\}}", expression):
        assert set(re.findall(r"(\w+)(?:=|!)", selector)) <= {*labels[name], "instance", "job"}


def _overlap(one: Any, other: Any) -> bool:
    return all(
        one[start] < other[start] + other[size] and other[start] < one[start] + one[size]
        for start, size in (("x", "w"), ("y", "h"))
    )


def _docs(name: str) -> str:
    return (PROJECT / "docs" / name).read_text()


def _open_folders(served: Served) -> set[str]:
    """The folders of metrics in which the service has files open."""
    paths = {line for process in served.processes() for line in _mapped(process.pid)}
    return {str(Path(path).parent) for path in paths}


def _mapped(pid: int) -> list[str]:
    return re.findall(r"/\S*/prediction-service-metrics-\w+/\w+\.db", Path(f"/proc/{pid}/maps").read_text())
