"""A report on an older version is the same after a swap, which reads no row again. Drift can be measured against an
older version."""

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from sklearn.base import clone
from sklearn.dummy import DummyClassifier

from serialize import dump
from serialize.content import read_content
from serialize.recipes import RECIPES
from serialize.trust import signature
from service.registry.registry import Registry
from service.storage import column_cache
from service.storage.columns import LogColumns
from service.storage.connection import connect
from service.storage.models.promotions import Promotions
from service.storage.models.store import ModelStore
from service.storage.session import Session
from tests.conftest import Client, MakeClient
from tests.support.manifests import rewrite
from tests.support.passengers import all_passengers

KEY = "k" * 32
LENGTH = "sepal length (cm)"

Serve = Callable[[Path], str]


@pytest.fixture
def registry(client: Client, database_url: str) -> Iterator[Registry]:
    session = Session(connect(database_url))
    yield Registry(ModelStore(session), Promotions(session), (KEY,), 2**30, lambda _: {})
    session.close()


@pytest.fixture
def client(make_client: MakeClient, database_url: str) -> Client:
    """A service that starts with the titanic model."""
    return make_client(database_url=database_url, model_signing_key=KEY)


@pytest.fixture
def serve(client: Client, registry: Registry) -> Serve:
    """Registers the model of a folder, promotes it, and lets the service take it. Returns its version."""

    def serve(folder: Path) -> str:
        version = registry.register(read_content(folder), "me@here").version
        registry.promote(version, "me@here")
        client.application.extensions["swap"].look()
        assert served(client) == version
        return version

    return serve


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of rows of the log that were read; also PostgreSQL reads only new ones again."""
    monkeypatch.setattr(column_cache, "_RECENT_IDS", 0)
    numbers: list[int] = []
    rows_of = LogColumns._with_model_keys

    def noted(columns: LogColumns, where: str) -> Any:
        rows = rows_of(columns, where)
        numbers.append(len(rows))
        return rows

    monkeypatch.setattr(LogColumns, "_with_model_keys", noted)
    return numbers


def served(client: Client) -> str:
    return str(client.get("/model").json["version"])


def variant(folder: Path, source: Path) -> Path:
    """The same model with another name, so that it has another version."""
    copytree(source, folder)
    rewrite(folder, lambda manifest: manifest.update(name=folder.name))
    return folder


def fill(client: Client, rows: int = 200) -> str:
    """Predictions of passengers, half of them with a label. Returns the version that answered."""
    observations = all_passengers()[:rows]
    client.post("/predict", json=[{"id": i, "observation": one} for i, one in enumerate(observations)])
    client.post("/update", json=[{"id": i, "true_class": i % 3 == 0} for i in range(rows // 2)])
    return served(client)


def answers(client: Client, version: str) -> dict[str, Any]:
    """The reports on a version."""
    queries = (f"/performance?model_version={version}&by=Sex&window=1d", f"/drift?model_version={version}")
    found = {query: client.get(query) for query in queries}
    assert {answer.status_code for answer in found.values()} == {200}
    return {query: answer.json for query, answer in found.items()}


@pytest.mark.parametrize("recipe", ["iris", "diabetes"])
def test_the_reports_on_a_version_are_the_same_after_a_swap_to_another_task(
    client: Client, registry: Registry, serve: Serve, artifacts: dict[str, Path], recipe: str
) -> None:
    old = fill(client)
    before = answers(client, old)

    serve(artifacts[recipe])

    assert answers(client, old) == before
    assert [answer["count"] for answer in before.values()] == [200, 200]
    registry.retire(old)
    assert answers(client, old) == before


def test_the_training_figures_are_those_of_the_version(
    client: Client, serve: Serve, artifacts: dict[str, Path], tmp_path: Path
) -> None:
    first = fill(client)
    folder = Path(copytree(artifacts["titanic"], tmp_path / "better"))
    rewrite(folder, lambda manifest: manifest["metrics"]["metrics"]["accuracy"].update(mean=0.25))
    second = serve(folder)

    training = {
        version: client.get(f"/performance?model_version={version}").json["metrics"]["accuracy"]["training"]
        for version in (first, second)
    }

    assert training[second] == client.get("/performance").json["metrics"]["accuracy"]["training"] == 0.25
    assert training[first] != 0.25


def test_groups_are_by_the_columns_of_the_version(client: Client, serve: Serve, artifacts: dict[str, Path]) -> None:
    old = fill(client)
    new = serve(artifacts["iris"])

    refused = [client.get(f"/performance?by={query}") for query in ("Sex", f"Sex&model_version={new}", "Sex&last=1")]

    assert [[one["pointer"] for one in each.json["errors"]] for each in refused] == [["/by"], ["/by"], ["/last", "/by"]]
    assert refused[0].json["detail"] == refused[1].json["detail"]
    assert client.get(f"/performance?by={LENGTH}&model_version={old}").status_code == 422
    assert len(client.get(f"/performance?by=Sex&model_version={old}").json["groups"]) == 2


@pytest.mark.parametrize("change", ["unknown", "signed by another key", "of another model"])
def test_a_version_without_a_trusted_manifest_is_reported_with_that_of_the_model(
    client: Client, registry: Registry, serve: Serve, artifacts: dict[str, Path], change: str
) -> None:
    old = fill(client)
    new = serve(artifacts["iris"])
    stored = registry.model(new if change == "of another model" else old)
    key = "o" * 32 if change == "signed by another key" else KEY
    row = {"manifest": stored.manifest, "signature": signature(stored.manifest, key)}
    execute(registry, "UPDATE model SET manifest = {}, signature = {} WHERE version = {}", *row.values(), old)
    version = "0" * 12 if change == "unknown" else old

    drift = client.get(f"/drift?model_version={version}")
    performance = client.get(f"/performance?model_version={version}")
    refused = client.get(f"/drift?reference={version}")

    assert (drift.json["model_version"], drift.json["reference"]) == (new, new)
    assert set(performance.json["metrics"]) == set(client.get("/performance").json["metrics"])
    assert (refused.status_code, refused.json["title"]) == (404, "Unknown model")
    assert version in refused.json["detail"]


def execute(registry: Registry, statement: str, *values: Any) -> None:
    database = registry.store._session.database
    registry.store._session.run(lambda: database.execute_sql(statement.replace("{}", database.param), values))


@pytest.mark.long  # dumps models and swaps them
def test_a_swap_to_the_same_kind_of_task_reads_no_row_again(
    client: Client, serve: Serve, read: list[int], artifacts: dict[str, Path], tmp_path: Path
) -> None:
    old = fill(client)
    client.get("/performance")
    assert sum(read) == 200
    read.clear()

    for name in ("second", "third"):
        serve(variant(tmp_path / name, artifacts["titanic"]))
        gc.collect()
        assert client.get("/performance").json["count"] == 200
        assert client.get(f"/drift?model_version={old}").json["columns"]["proba"]["count"] == 200
    assert sum(read) == 0
    client.post("/predict", json={"id": "new", "observation": all_passengers()[0]})
    assert client.get("/performance").json["count"] == 201
    assert sum(read) == 1


def test_a_report_on_another_kind_of_task_reads_the_log_once(
    client: Client, serve: Serve, read: list[int], artifacts: dict[str, Path]
) -> None:
    old = fill(client)
    client.get("/performance")
    serve(artifacts["diabetes"])
    gc.collect()
    read.clear()

    for _ in range(3):
        assert client.get("/performance").json["count"] == 0
        assert client.get(f"/performance?model_version={old}").json["count"] == 200

    assert sum(read) == 200


def iris(folder: Path, longer: float) -> Path:
    """A model of irises whose sepals are longer than in the data set."""
    recipe = RECIPES["iris"]()
    X = recipe.X.assign(**{LENGTH: recipe.X[LENGTH] + longer})
    dump(clone(recipe.pipeline).fit(X, recipe.y), X, recipe.y, folder, name="iris", metrics="none")
    return folder


@pytest.mark.long  # dumps models and swaps them
def test_drift_that_each_promotion_hides_shows_against_the_first_model(
    client: Client, serve: Serve, tmp_path: Path
) -> None:
    first, *_, last = [serve(iris(tmp_path / str(step), step * 0.5)) for step in range(4)]
    rows = RECIPES["iris"]().X.to_dict("records")
    rows = [{**row, LENGTH: row[LENGTH] + 1.5} for row in rows]
    client.post("/predict", json=[{"id": i, "observation": row} for i, row in enumerate(rows)])

    own, old = client.get("/drift").json, client.get(f"/drift?reference={first}").json

    assert (own["reference"], own["drifted"]) == (last, [])
    assert client.get(f"/drift?reference={last}").json == own
    assert (old["model_version"], old["reference"], old["drifted"]) == (last, first, [LENGTH])
    assert old["columns"][LENGTH]["count"] == 150
    assert {name: one["count"] for name, one in old["columns"].items() if one["kind"] == "output"} == {
        f"probas/{label}": 0 for label in ("setosa", "versicolor", "virginica")
    }


@pytest.mark.long  # dumps models and swaps them
def test_a_column_that_only_one_model_has_is_named_and_not_compared(
    client: Client, serve: Serve, artifacts: dict[str, Path], tmp_path: Path
) -> None:
    first = fill(client, 100)
    recipe = RECIPES["titanic"]()
    X = recipe.X.drop(columns="Cabin").assign(Age=recipe.X["Age"].fillna(0).astype(int), Deck="A", Pclass="3")
    dump(DummyClassifier().fit(X, recipe.y), X, recipe.y, tmp_path / "other", name="other", metrics="none")
    second = serve(tmp_path / "other")

    columns = client.get(f"/drift?reference={first}").json["columns"]
    back = client.get(f"/drift?reference={second}&model_version={first}").json["columns"]

    for found in (columns, back):
        untested = {name for name, one in found.items() if one["verdict"] is None and one["kind"] != "output"}
        assert untested == {"Cabin", "Deck", "Pclass"}
        assert all(
            set(found[name]) == {"kind", "count", "null_rate", "p_value", "verdict", "changes"} for name in untested
        )
        assert found["Age"]["reference_null_rate"] == pytest.approx(0.2 if found is columns else 0, abs=0.01)


def test_without_a_registry_only_the_model_itself_is_a_reference(make_client: MakeClient, postgresql_url: str) -> None:
    client = make_client(database_url=postgresql_url)

    assert client.get(f"/drift?reference={served(client)}").json == client.get("/drift").json
    refused = client.get("/drift?reference=000000000000&last=0")
    assert [one["pointer"] for one in refused.json["errors"]] == ["/last"]
    assert client.get("/drift?reference=000000000000").status_code == 404
