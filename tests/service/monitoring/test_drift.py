"""GET /drift names the columns that have shifted, and raises no false alarm."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from peewee import Database
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from serialize import Artifact, dump, load
from serialize.frame import observations
from serialize.recipes import RECIPES
from service.monitoring.drift import Drift, ModelVersion
from service.monitoring.log_cache import LogCache
from service.prediction.filter import DriftQuery, Selection
from service.prediction.observation import ObservationParser
from service.prediction.scoring import Scorer
from service.storage.connection import connect
from service.storage.migrate import prepare
from service.storage.statements import Statements, inserted_row
from tests.conftest import Client, MakeClient
from tests.support.logged import START, erase, logged, write
from tests.support.passengers import ARTIFACTS, all_passengers

DRAWS = 100
NAMES = ("titanic", "iris", "diabetes")
ALL = DriftQuery(Selection(), None)


class Log:
    """A SQLite log with the rows of one model, and the report on it."""

    def __init__(self, folder: Path, artifact: Artifact) -> None:
        manifest = artifact.manifest
        self.database = connect(f"sqlite:///{folder}/log.db")
        prepare(self.database)
        self.database.connect()
        self.drift = Drift(ModelVersion(artifact.version, manifest), LogCache(self.database, manifest.task))
        self.parser = ObservationParser(manifest.signature)
        model = artifact.model
        self.scorer = Scorer(manifest.task, model.outputs, model.class_indices, model.outputs_by_column)
        self.version = artifact.version

    def report(self, table: pd.DataFrame) -> dict[str, Any]:
        """The report on a log that holds these rows and no other."""
        self.database.execute_sql("DELETE FROM prediction")
        rows = [self.parser.parse({"id": i, "observation": row}) for i, row in enumerate(observations(table))]
        scores = self.scorer.score(rows)
        model_key = (0.5, self.version, START)
        written = [inserted_row(one.key, one.text, score, *model_key) for one, score in zip(rows, scores, strict=True)]
        with self.database.atomic():
            list(Statements(self.database).insert(written))
        return self.drift.report(ALL)


@pytest.fixture
def make_log(tmp_path: Path, artifacts: dict[str, Path]) -> Any:
    made: list[Log] = []

    def make(name: str) -> Log:
        made.append(Log(tmp_path, load(artifacts[name])))
        return made[-1]

    yield make
    for log in made:
        log.database.close()


def drawn(table: pd.DataFrame, rows: int, seed: int, replace: bool = True) -> pd.DataFrame:
    return table.sample(rows, replace=replace, random_state=seed).reset_index(drop=True)


@pytest.mark.long  # a hundred draws of each model
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("rows", "replace"), [(1000, True), (100, False)])
def test_draws_of_the_training_data_raise_no_alarm_95_times_in_100(
    make_log: Any, name: str, rows: int, replace: bool
) -> None:
    log, table = make_log(name), RECIPES[name]().X

    verdicts = [log.report(drawn(table, rows, seed, replace))["verdict"] for seed in range(DRAWS)]

    assert verdicts.count("ok") >= 95


@pytest.mark.long
def test_shared_outputs_have_not_drifted_if_they_are_rounded_differently(
    tmp_path: Path, make_client: MakeClient
) -> None:
    X = pd.DataFrame({"x": np.linspace(-3, 3, 300), "y": np.tile(np.array([0.1, 0.2, 0.7], "float32"), 100)})
    y = X["x"] + X["y"] > 0.5
    pipeline = GradientBoostingClassifier(n_estimators=5, max_depth=1, random_state=0).fit(X, y)
    dump(pipeline, X, y, tmp_path / "boosted", name="boosted")
    client = make_client(artifacts=str(tmp_path / "boosted"))
    rows = [{"x": x, "y": round(y, 1)} for x, y in zip(X["x"].tolist(), X["y"].tolist(), strict=True)]
    client.post("/predict", json=[{"id": i, "observation": row} for i, row in enumerate(rows)])

    columns = client.get("/drift").json["columns"]

    assert [columns[name]["distance"] for name in ("y", "proba")] == [0, 0]
    assert columns["proba"]["out_of_range_rate"] == 0


def older(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(Age=(table["Age"] + 10).clip(upper=120))


def embarked_elsewhere(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(Embarked=table["Embarked"].map({"S": "C", "C": "Q", "Q": "S"}))


def fewer_ages(table: pd.DataFrame) -> pd.DataFrame:
    lost = np.random.default_rng(len(table)).random(len(table)) < 0.25
    return table.assign(Age=table["Age"].mask(lost))


def richer(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(Fare=table["Fare"] * 20)


def upstairs(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(Pclass=table["Pclass"].where(table["Pclass"] != 3, 2))


@pytest.mark.parametrize(
    ("shift", "column", "change"),
    [
        (older, "Age", "distribution"),
        (embarked_elsewhere, "Embarked", "distribution"),
        (fewer_ages, "Age", "nulls"),
        (richer, "Fare", "out of range"),
        (upstairs, "Pclass", "distribution"),
    ],
)
def test_drift_names_a_shift_of_the_passengers_at_500_rows(make_log: Any, shift: Any, column: str, change: str) -> None:
    log, table = make_log("titanic"), RECIPES["titanic"]().X

    reports = [log.report(shift(drawn(table, 500, seed))) for seed in range(20)]

    for report in reports:
        assert report["columns"][column]["verdict"] == "drifted"
        assert change in report["columns"][column]["changes"]
        assert set(report["drifted"]) <= {column, "proba"}
        assert report["verdict"] == "drifted"


@pytest.mark.parametrize(
    ("name", "column", "shift"),
    [("iris", "sepal length (cm)", 1.0), ("diabetes", "bmi", 5.0), ("diabetes", "age", 13.0)],
)
def test_drift_names_a_shift_of_a_number_at_500_rows(make_log: Any, name: str, column: str, shift: float) -> None:
    log, table = make_log(name), RECIPES[name]().X

    for seed in range(20):
        moved = drawn(table, 500, seed)
        moved[column] += shift

        assert "distribution" in log.report(moved)["columns"][column]["changes"]


@pytest.mark.parametrize(
    ("name", "output"), [("titanic", "proba"), ("iris", "probas/virginica"), ("diabetes", "predicted_value")]
)
def test_drift_names_shifted_outputs(make_log: Any, name: str, output: str) -> None:
    log, recipe = make_log(name), RECIPES[name]()
    column = {"titanic": "Sex", "iris": "petal width (cm)", "diabetes": "bmi"}[name]
    chosen: Any = {"titanic": "female", "iris": 2.3, "diabetes": 40.0}[name]

    rows = drawn(recipe.X, 500, 0)
    rows[column] = chosen
    report = log.report(rows)

    assert output in report["drifted"]
    assert column in report["drifted"]


def test_a_large_sample_is_judged_by_distance(make_log: Any) -> None:
    log, table = make_log("titanic"), RECIPES["titanic"]().X

    still = log.report(drawn(table, 12_000, 0))
    slightly = log.report(drawn(table, 12_000, 0).assign(Fare=lambda rows: rows["Fare"] * 1.01))
    moved = log.report(older(drawn(table, 14_000, 1)))

    assert still["verdict"] == slightly["verdict"] == "ok"
    assert still["columns"]["Fare"]["test"] == "distance"
    assert still["columns"]["Fare"]["p_value"] is None
    assert moved["columns"]["Age"]["changes"] == ["distribution", "out of range"]


def test_the_stability_index_is_that_of_the_bins(make_log: Any) -> None:
    log, table = make_log("titanic"), RECIPES["titanic"]().X

    report = log.report(drawn(table, 500, 0))
    swapped = log.report(
        drawn(table, 500, 0).assign(Sex=lambda rows: rows["Sex"].map({"male": "female", "female": "male"}))
    )

    assert report["columns"]["Sex"]["psi"] < 0.02
    male = (drawn(table, 500, 0)["Sex"] == "male").sum() + 0.5
    live, reference = np.array([male, 501 - male, 0.5]) / 501.5, np.array([466.5, 843.5, 0.5]) / 1310.5
    assert swapped["columns"]["Sex"]["psi"] == pytest.approx(float((live - reference) @ np.log(live / reference)))


def test_drift_names_an_unseen_category(database: Database) -> None:
    drift, version = drift_of(database)
    known = {"model_version": version, "predicted_class": "true"}
    seen = [json.dumps(one) for one in all_passengers()[:300]]
    unseen = [json.dumps({**one, "Embarked": "X"}) for one in all_passengers()[300:310]]
    write(database, *(logged(i, observation=text, **known) for i, text in enumerate(seen + unseen)))

    column = drift.report(ALL)["columns"]["Embarked"]

    assert column["unseen_rate"] == pytest.approx(10 / 310, abs=1e-3)
    assert "unseen categories" in column["changes"]


def test_few_rows_get_statistics_and_no_verdict(database: Database) -> None:
    drift, version = drift_of(database)
    write(database, *(logged(i, observation=json.dumps(all_passengers()[0]), model_version=version) for i in range(29)))

    report = drift.report(ALL)

    assert (report["count"], report["verdict"], report["drifted"]) == (29, None, [])
    assert report["columns"]["Age"]["distance"] > 0.5


def test_outputs_of_another_model_are_not_compared(database: Database) -> None:
    drift, version = drift_of(database)
    text = json.dumps(all_passengers()[0])
    write(database, *(logged(i, observation=text, model_version=version if i % 2 else "old") for i in range(10)))

    report = drift.report(ALL)

    assert report["columns"]["proba"]["count"] == 5
    assert report["columns"]["Age"]["count"] == 10


def test_an_erased_row_is_not_compared(database: Database) -> None:
    drift, version = drift_of(database)
    write(database, *(logged(i, observation="{}", model_version=version) for i in range(3)))
    drift.report(ALL)
    erase(database, 1)

    assert drift.report(ALL)["count"] == 2


def drift_of(database: Database) -> tuple[Drift, str]:
    artifact = load(ARTIFACTS)
    model = ModelVersion(artifact.version, artifact.manifest)
    return Drift(model, LogCache(database, artifact.manifest.task)), artifact.version


def test_the_latest_rows_are_compared(client: Client) -> None:
    client.post("/predict", json=[{"id": i, "observation": one} for i, one in enumerate(all_passengers())])

    assert client.get("/drift").json["count"] == 1000
    assert client.get("/drift?last=50").json["columns"]["proba"]["count"] == 50
    assert client.get("/drift?since=2020-01-01").json["count"] == 1309
    assert client.get("/drift?until=2020-01-01").json["verdict"] is None
    assert client.get("/drift?model_version=other").json["count"] == 0


def test_all_passengers_have_not_drifted(client: Client) -> None:
    client.post("/predict", json=[{"id": i, "observation": one} for i, one in enumerate(all_passengers())])

    report = client.get("/drift?last=2000").json

    assert (report["verdict"], report["drifted"]) == ("ok", [])
    assert {column["verdict"] for column in report["columns"].values()} == {"ok"}


@pytest.mark.long
def test_a_column_with_the_name_of_the_output_keeps_it(tmp_path: Path, make_client: MakeClient) -> None:
    X = pd.DataFrame({"proba": np.linspace(0, 1, 60)})
    y = np.arange(60) > 30
    dump(LogisticRegression().fit(X, y), X, y, tmp_path / "model")
    client = make_client(artifacts=str(tmp_path / "model"))
    client.post("/predict", json=[{"id": i, "observation": {"proba": i / 60}} for i in range(60)])

    columns = client.get("/drift").json["columns"]

    assert {name: column["kind"] for name, column in columns.items()} == {"proba": "number", "output proba": "output"}


def test_bad_parameters_are_refused_by_name(client: Client) -> None:
    answer = client.get("/drift?last=0&by=Sex&until=never")

    assert answer.status_code == 422
    assert {fault["pointer"] for fault in answer.json["errors"]} == {"/last", "/by", "/until"}
