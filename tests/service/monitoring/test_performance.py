"""GET /performance equals scikit-learn on the rows of the log, for any number of rows."""

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from peewee import Database
from sklearn import metrics as skm
from sklearn.datasets import load_diabetes, load_iris

from serialize import load
from service.monitoring.performance import Performance
from service.storage.column_cache import ColumnCache
from service.storage.connection import connect, kind
from service.storage.postgresql_columns import PostgresqlColumns
from service.storage.sqlite_columns import SqliteColumns
from service.storage.tables import Prediction
from tests.conftest import Client, MakeClient
from tests.support.logged import START, labelled, logged, relabel, write
from tests.support.passengers import ARTIFACTS, PROJECT, all_passengers, prediction

SURVIVED = pd.read_csv(PROJECT / "data" / "titanic.csv")["Survived"].to_numpy()

Read = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def read_back(database_url: str) -> Read:
    """Reads every row of the log."""

    def read() -> list[dict[str, Any]]:
        database = connect(database_url)
        with database.connection_context():
            return list(Prediction.select().order_by(Prediction.id).dicts().execute(database))

    return read


@pytest.fixture
def log(client: Client, database_url: str) -> Any:
    """The log of the client's service, for direct writes."""
    database = connect(database_url)
    database.connect()
    yield database
    database.close()


def post_passengers(client: Client, count: int = 1309) -> None:
    items = [{"id": i, "observation": each} for i, each in enumerate(all_passengers()[:count])]
    assert client.post("/predict", json=items).status_code == 200


def label_passengers(client: Client, count: int = 1309) -> None:
    labels = [{"id": i, "true_class": int(truth)} for i, truth in enumerate(SURVIVED[:count])]
    assert client.post("/update", json=labels).status_code == 200


def values(metrics: dict[str, Any]) -> dict[str, float | None]:
    return {name: figure["value"] for name, figure in metrics.items()}


def binary_figures(rows: list[dict[str, Any]]) -> dict[str, float]:
    """The metrics computed by scikit-learn."""
    truth = np.array([row["true_class"] == "true" for row in rows])
    answered = np.array([row["predicted_class"] == "true" for row in rows])
    proba = np.array([row["proba"] for row in rows])
    place = np.searchsorted(np.linspace(0, 1, 11)[1:-1], proba)
    return {
        "accuracy": skm.accuracy_score(truth, answered),
        "balanced_accuracy": skm.balanced_accuracy_score(truth, answered),
        "precision": skm.precision_score(truth, answered),
        "recall": skm.recall_score(truth, answered),
        "f1": skm.f1_score(truth, answered),
        "roc_auc": skm.roc_auc_score(truth, proba),
        "average_precision": skm.average_precision_score(truth, proba),
        "log_loss": skm.log_loss(truth, proba),
        "brier_score": skm.brier_score_loss(truth, proba),
        "expected_calibration_error": sum(
            abs((truth[place == bin_] - proba[place == bin_]).sum()) for bin_ in range(10)
        )
        / len(rows),
    }


def test_all_passengers_are_scored_as_scikit_learn_scores_them(client: Client, read_back: Read) -> None:
    post_passengers(client)
    label_passengers(client)

    answer = client.get("/performance").json

    rows = read_back()
    truth = [row["true_class"] == "true" for row in rows]
    answered = [row["predicted_class"] == "true" for row in rows]
    assert (answer["count"], answer["labelled"], answer["coverage"]) == (1309, 1309, 1.0)
    assert values(answer["metrics"]) == pytest.approx(binary_figures(rows), abs=1e-9)
    assert answer["confusion_matrix"] == {
        "labels": [False, True],
        "counts": skm.confusion_matrix(truth, answered).tolist(),
    }
    delays = [(row["labelled_at"] - row["created_at"]).total_seconds() for row in rows]
    assert answer["label_delay"]["median"] == pytest.approx(np.median(delays), abs=1e-6)
    assert answer["label_delay"]["p90"] == pytest.approx(np.quantile(delays, 0.9), abs=1e-6)
    assert answer["threshold"] == 0.5
    assert answer["estimate"] is None


def test_every_metric_has_an_interval_around_it_and_its_training_value(client: Client) -> None:
    post_passengers(client, 300)
    label_passengers(client, 300)

    answer = client.get("/performance").json

    training, metrics = load(ARTIFACTS).manifest.metrics["metrics"], answer["metrics"]
    assert answer["training_method"] == "5-fold cross-validation"
    assert set(metrics) == set(training)
    for name, figure in metrics.items():
        assert figure["low"] < figure["value"] < figure["high"]
        assert figure["training"] == training[name]["mean"]


def test_the_brier_score_is_the_sum_of_its_parts(client: Client) -> None:
    post_passengers(client, 300)
    label_passengers(client, 300)

    answer = client.get("/performance").json

    parts = answer["calibration"]["brier_score"]
    whole = parts["reliability"] - parts["resolution"] + parts["uncertainty"] + parts["within_bins"]
    assert whole == pytest.approx(answer["metrics"]["brier_score"]["value"], abs=1e-12)
    assert sum(one["count"] for one in answer["calibration"]["bins"]) == 300


def test_labels_and_corrections_count_as_they_come(client: Client, read_back: Read) -> None:
    post_passengers(client, 200)
    seen = []
    for count in (0, 50, 120, 200):
        if count:
            label_passengers(client, count)
        seen.append(client.get("/performance").json["labelled"])
    client.post("/update", json=[{"id": i, "true_class": 1 - int(SURVIVED[i])} for i in range(30)])

    assert seen == [0, 50, 120, 200]
    expected = binary_figures(read_back())
    assert values(client.get("/performance").json["metrics"]) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("truths", [[], [1], [0], [1, 1, 1], [0, 0, 0]])
def test_an_undefined_metric_is_null(client: Client, truths: list[int]) -> None:
    client.post("/predict", json=[prediction(i, Age=float(i)) for i in range(5)])
    client.post("/update", json=[{"id": i, "true_class": truth} for i, truth in enumerate(truths)])

    answer = client.get("/performance")

    assert answer.status_code == 200
    assert answer.json["labelled"] == len(truths)
    assert answer.json["metrics"]["roc_auc"]["value"] is None
    assert answer.json["metrics"]["precision"]["value"] is None
    assert (answer.json["metrics"]["log_loss"]["value"] is None) == (not truths)
    assert (answer.json["metrics"]["recall"]["value"] is None) == (1 not in truths)


def test_an_empty_log_has_a_report(client: Client) -> None:
    answer = client.get("/performance?window=1d&by=Sex")

    assert answer.status_code == 200
    assert (answer.json["count"], answer.json["coverage"], answer.json["series"]) == (0, None, [])
    assert answer.json["label_delay"] == {"median": None, "p90": None}


def test_without_labels_the_probabilities_give_an_estimate(client: Client, read_back: Read) -> None:
    post_passengers(client)

    estimate = client.get("/performance").json["estimate"]

    proba = np.array([row["proba"] for row in read_back()])
    assert (estimate["method"], estimate["count"], estimate["calibrated_on"]) == ("CBPE", 1309, None)
    assert estimate["metrics"]["accuracy"] == pytest.approx(np.maximum(proba, 1 - proba).mean())
    label_passengers(client)
    seen = values(client.get("/performance").json["metrics"])
    for name in ("accuracy", "f1", "roc_auc", "brier_score"):
        assert estimate["metrics"][name] == pytest.approx(seen[name], abs=0.05)


def test_an_estimate_is_calibrated_on_the_labelled_rows(log: Database, client: Client) -> None:
    rng = np.random.default_rng(0)
    rows = []
    for i in range(4000):
        proba = float(rng.random())
        truth = "true" if rng.random() < proba / 2 else "false"  # twice as sure as it may be
        answered = "true" if proba >= 0.5 else "false"
        known = {"proba": proba, "predicted_class": answered}
        rows.append(labelled(i, truth, **known) if i % 2 else logged(i, **known))
    for start in range(0, 4000, 500):
        write(log, *rows[start : start + 500])

    answer = client.get("/performance").json

    assert answer["estimate"]["calibrated_on"] == 2000
    accuracy = answer["estimate"]["metrics"]["accuracy"]
    assert accuracy == pytest.approx(answer["metrics"]["accuracy"]["value"], abs=0.03)
    assert accuracy < 0.65


def test_a_selection_reports_on_its_rows_only(log: Database, client: Client) -> None:
    versions = ("a" * 12, "b" * 12)
    write(log, *(labelled(i, "false" if i < 6 else "true", model_version=versions[i % 2]) for i in range(10)))

    def asked(**parameters: str) -> tuple[int, float | None]:
        answer = client.get("/performance", query_string=parameters).json
        return answer["count"], answer["metrics"]["accuracy"]["value"]

    since, until = (START + timedelta(seconds=seconds) for seconds in (4, 8))
    assert asked() == (10, 0.6)
    assert asked(model_version="a" * 12) == (5, 0.6)
    assert asked(since=since.isoformat(), until=until.isoformat()) == (4, 0.5)
    assert asked(since="2026-01-01T00:00:06Z") == (4, 0.0)
    assert asked(model_version="none such") == (0, None)


def test_the_threshold_is_that_of_the_rows(log: Database, client: Client) -> None:
    write(log, logged(1, threshold=0.3), logged(2, threshold=0.3))
    first = client.get("/performance").json["threshold"]
    write(log, logged(3, threshold=0.5))

    assert first == 0.3
    assert client.get("/performance").json["threshold"] is None


def test_a_series_has_a_part_for_each_day_or_week_with_rows(log: Database, client: Client) -> None:
    day = 86_400
    write(log, *(labelled(i * day // 2, "false" if i % 3 else "true") for i in range(30)))

    days = client.get("/performance?window=1d").json["series"]
    weeks = client.get("/performance?window=1w").json["series"]

    assert [part["count"] for part in days] == [2] * 15
    assert days[0]["from"] == "2026-01-01T00:00:00+00:00"
    assert days[0]["to"] == days[1]["from"]
    assert [part["from"][:10] for part in weeks] == ["2025-12-29", "2026-01-05", "2026-01-12"]
    assert sum(part["count"] for part in weeks) == 30
    assert [part["metrics"]["accuracy"]["value"] for part in days[:3]] == [0.5, 0.5, 1.0]


@pytest.mark.parametrize(
    ("window", "first", "last", "end"),
    [
        ("1min", "2026-01-31T12:34:00", "2026-02-01T00:00:00", "2026-02-01T00:01:00"),
        ("10min", "2026-01-31T12:30:00", "2026-02-01T00:00:00", "2026-02-01T00:10:00"),
        ("1h", "2026-01-31T12:00:00", "2026-02-01T00:00:00", "2026-02-01T01:00:00"),
        ("6h", "2026-01-31T12:00:00", "2026-02-01T00:00:00", "2026-02-01T06:00:00"),
        ("1d", "2026-01-31T00:00:00", "2026-02-01T00:00:00", "2026-02-02T00:00:00"),
        ("1w", "2026-01-26T00:00:00", "2026-01-26T00:00:00", "2026-02-02T00:00:00"),
        ("4w", "2026-01-19T00:00:00", "2026-01-19T00:00:00", "2026-02-16T00:00:00"),
        ("52w", "2025-10-27T00:00:00", "2025-10-27T00:00:00", "2026-10-26T00:00:00"),
    ],
)
def test_windows_of_each_size_are_aligned_with_clocks_and_weeks(
    log: Database, window: str, first: str, last: str, end: str
) -> None:
    times = [datetime(2026, 1, 31, 12, 34, 56, 789, UTC), datetime(2026, 2, 1, tzinfo=UTC)]
    write(log, *(logged(i, created_at=time) for i, time in enumerate(times)))
    manifest = load(ARTIFACTS).manifest
    ledger = ColumnCache((SqliteColumns if kind(log) == "sqlite" else PostgresqlColumns)(log, manifest.task))

    series = Performance(manifest, ledger).series(ledger.rows(), window)

    assert [series[0]["from"], series[-1]["from"], series[-1]["to"]] == [f"{time}+00:00" for time in (first, last, end)]
    assert [part["count"] for part in series] == ([1, 1] if len(series) == 2 else [2])


def test_a_series_of_too_many_parts_is_refused(log: Database, client: Client) -> None:
    write(log, *(logged(i * 86_400) for i in range(401)))

    refused = client.get("/performance?window=1d")

    assert refused.status_code == 422
    assert refused.json["errors"][0]["pointer"] == "/window"
    assert client.get("/performance?window=1d&since=2026-01-02").status_code == 200


def test_groups_have_the_metrics_of_their_rows(client: Client, read_back: Read) -> None:
    post_passengers(client)
    label_passengers(client)

    answer = client.get("/performance?by=Sex").json

    assert (answer["by"], [group["value"] for group in answer["groups"]]) == ("Sex", ["male", "female"])
    for group in answer["groups"]:
        rows = [row for row in read_back() if json.loads(row["observation"])["Sex"] == group["value"]]
        assert group["count"] == group["labelled"] == len(rows)
        assert values(group["metrics"]) == pytest.approx(binary_figures(rows), abs=1e-9)


@pytest.mark.parametrize("column", ["Pclass", "Age", "Fare", "Cabin", "Embarked"])
def test_every_row_is_in_one_group(client: Client, column: str) -> None:
    post_passengers(client)

    groups = client.get(f"/performance?by={column}").json["groups"]

    assert sum(group["count"] for group in groups) == 1309
    assert len(groups) <= 50
    assert {"Pclass": [3, 1, 2], "Embarked": ["S", "C", "Q", None]}.get(column) in (
        None,
        [group["value"] for group in groups],
    )


def test_a_group_of_few_labelled_rows_gets_its_count_and_no_verdict(log: Database, client: Client) -> None:
    women = {"observation": '{"Sex":"female"}'}
    write(log, *(labelled(i, "false") for i in range(100)), *(labelled(i, "true", **women) for i in range(100, 129)))
    few = client.get("/performance?by=Sex").json["groups"]
    write(log, labelled(129, "true", **women))

    enough = client.get("/performance?by=Sex").json["groups"]

    assert [(group["count"], group["verdict"]) for group in few] == [(100, None), (29, None)]
    assert few[0]["metrics"]["accuracy"]["value"] == 1.0
    assert few[1]["metrics"] is None
    assert [group["verdict"] for group in enough] == ["better than the rest", "worse than the rest"]
    assert enough[1]["metrics"]["accuracy"]["value"] == 0.0


def test_groups_as_good_as_the_rest_get_that_verdict(log: Database, client: Client) -> None:
    rows = [
        labelled(i, "true" if i % 5 == 0 else "false", observation=f'{{"Sex":"{"male" if i % 2 else "female"}"}}')
        for i in range(200)
    ]
    write(log, *rows)

    groups = client.get("/performance?by=Sex").json["groups"]

    assert [group["verdict"] for group in groups] == ["as the rest", "as the rest"]


def test_bad_parameters_are_refused_by_name(client: Client) -> None:
    answer = client.get("/performance?since=soon&window=1y&by=Name&verbose=1")

    assert answer.status_code == 422
    assert answer.content_type == "application/problem+json"
    assert {fault["pointer"] for fault in answer.json["errors"]} == {"/since", "/window", "/by", "/verbose"}
    assert client.get("/performance/?window=1d").status_code == 200


def test_three_classes_are_scored_as_scikit_learn_scores_them(
    make_client: MakeClient, artifacts: dict[str, Path], database_url: str, read_back: Read
) -> None:
    client = make_client(database_url=database_url, artifacts=str(artifacts["iris"]))
    data = load_iris(as_frame=True)
    names = data.target_names[data.target].tolist()
    observations = data.data.to_dict("records")
    client.post("/predict", json=[{"id": i, "observation": each} for i, each in enumerate(observations)])
    wrong = [names[(i * 7) % 150] if i % 5 == 0 else name for i, name in enumerate(names)]
    client.post("/update", json=[{"id": i, "true_class": name} for i, name in enumerate(wrong)])

    answer = client.get("/performance").json

    rows = read_back()
    truth, answered = ([json.loads(row[name]) for row in rows] for name in ("true_class", "predicted_class"))
    labels = [str(name) for name in data.target_names]
    probas = [[json.loads(row["probas"])[label] for label in labels] for row in rows]
    expected = {
        "accuracy": skm.accuracy_score(truth, answered),
        "balanced_accuracy": skm.balanced_accuracy_score(truth, answered),
        "precision_macro": skm.precision_score(truth, answered, average="macro"),
        "recall_macro": skm.recall_score(truth, answered, average="macro"),
        "f1_macro": skm.f1_score(truth, answered, average="macro"),
        "log_loss": skm.log_loss(truth, probas, labels=labels),
    }
    found = values(answer["metrics"])
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-9)
    assert answer["confusion_matrix"]["counts"] == skm.confusion_matrix(truth, answered, labels=labels).tolist()
    recall = skm.recall_score(truth, answered, average=None, labels=labels)
    for label, share in zip(labels, recall, strict=True):
        assert answer["classes"][label]["metrics"]["recall"]["value"] == pytest.approx(share, abs=1e-9)
    for figure in answer["metrics"].values():
        assert figure["low"] <= figure["value"] <= figure["high"]
        assert figure["training"] is not None


def test_a_regression_is_scored_as_scikit_learn_scores_it(
    make_client: MakeClient, artifacts: dict[str, Path], database_url: str, read_back: Read
) -> None:
    client = make_client(database_url=database_url, artifacts=str(artifacts["diabetes"]))
    data = load_diabetes(as_frame=True, scaled=False)
    observations = data.data.to_dict("records")
    client.post("/predict", json=[{"id": i, "observation": each} for i, each in enumerate(observations)])
    client.post("/update", json=[{"id": i, "true_value": value} for i, value in enumerate(data.target.tolist())])

    answer = client.get("/performance?by=sex&window=1d").json

    rows = read_back()
    truth, answered = (np.array([row[name] for row in rows]) for name in ("true_value", "predicted_value"))
    assert values(answer["metrics"]) == pytest.approx(
        {
            "mean_absolute_error": skm.mean_absolute_error(truth, answered),
            "root_mean_squared_error": skm.root_mean_squared_error(truth, answered),
            "r2": skm.r2_score(truth, answered),
            "bias": float(np.mean(answered - truth)),
        },
        abs=1e-9,
    )
    assert answer["error_quantiles"]["0.5"] == pytest.approx(np.median(answered - truth), abs=1e-9)
    assert (answer["confusion_matrix"], answer["calibration"], answer["estimate"]) == (None, None, None)
    for figure in answer["metrics"].values():
        assert figure["low"] < figure["value"] < figure["high"]
    assert sum(group["count"] for group in answer["groups"]) == 442


@pytest.mark.parametrize("recipe", ["iris", "diabetes"])
def test_every_task_has_a_report_without_rows(make_client: MakeClient, artifacts: dict[str, Path], recipe: str) -> None:
    answer = make_client(artifacts=str(artifacts[recipe])).get("/performance")

    assert answer.status_code == 200
    assert set(values(answer.json["metrics"]).values()) == {None}


def test_a_regression_with_one_label_has_a_report(make_client: MakeClient, artifacts: dict[str, Path]) -> None:
    client = make_client(artifacts=str(artifacts["diabetes"]))
    observation = load_diabetes(as_frame=True, scaled=False).data.to_dict("records")[0]
    client.post("/predict", json={"id": 1, "observation": observation})
    client.post("/update", json={"id": 1, "true_value": 1e308})

    metrics = client.get("/performance").json["metrics"]

    assert metrics["r2"] == {**dict.fromkeys(("value", "low", "high")), "training": metrics["r2"]["training"]}
    assert metrics["root_mean_squared_error"]["value"] is None
    assert math.isfinite(metrics["mean_absolute_error"]["value"])


def test_a_label_written_directly_to_the_database_counts(log: Database, client: Client) -> None:
    write(log, labelled(1), logged(2))
    client.get("/performance")
    relabel(log, 2, "true")

    assert client.get("/performance").json["labelled"] == 2
