"""Every tried model is served with the classes and probabilities, or values, that its pipeline gives in a notebook."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import is_regressor

from benchmarks.models.tried_models import TriedModel, tried_models
from serialize import dump, load
from serialize.frame import as_table, observations
from tests.conftest import MakeClient
from tests.support.served import serve

pytestmark = pytest.mark.long  # more than a hundred models

TRIED = list(tried_models())
OVER_HTTP = [TRIED[i] for i in np.linspace(0, len(TRIED) - 1, 10).astype(int)]


def named(tried: TriedModel) -> str:
    return f"{tried.group}: {tried.name}"


def bodies(tried: TriedModel) -> list[dict[str, Any]]:
    """The training rows as the items of an array for POST /predict."""
    _, table = as_table(tried.X)
    return [{"id": i, "observation": row} for i, row in enumerate(observations(table))]


def assert_as_the_pipeline(tried: TriedModel, answers: list[dict[str, Any]]) -> None:
    """Compares n answers of POST /predict with the pipeline's answers for X."""
    pipeline, threshold = tried.pipeline, tried.options.get("threshold")
    within = 1e-6 if str(getattr(tried.X, "dtypes", getattr(tried.X, "dtype", ""))).startswith("float32") else 1e-9
    predicted = np.asarray(pipeline.predict(tried.X)).reshape(-1).tolist()
    if is_regressor(pipeline):
        assert [answer["predicted_value"] for answer in answers] == pytest.approx(predicted, rel=within, abs=within)
        return
    classes, probas = np.asarray(pipeline.classes_).tolist(), pipeline.predict_proba(tried.X)
    assert threshold is None or predicted == [classes[int(proba >= threshold)] for proba in probas[:, 1]]
    assert [answer["predicted_class"] for answer in answers] == predicted
    if "probas" in answers[0]:
        found = np.array([list(answer["probas"].values()) for answer in answers])
        assert found == pytest.approx(probas, abs=within)
        best = [row[classes.index(label)] for row, label in zip(probas, predicted, strict=True)]
        assert [answer["proba"] for answer in answers] == pytest.approx(best, abs=within)
        return
    positive = tried.options.get("positive_class", getattr(pipeline, "pos_label", None))
    column = 1 if positive is None else classes.index(positive)
    assert [answer["proba"] for answer in answers] == pytest.approx(probas[:, column], abs=within)


def test_more_than_sixty_models_with_names_of_their_own_are_tried() -> None:
    assert len({named(tried) for tried in TRIED}) == len(TRIED) >= 60


@pytest.mark.parametrize("tried", TRIED, ids=named)
def test_a_model_is_served_as_its_pipeline_predicts(
    tried: TriedModel, tmp_path: Path, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serialize.writing.steps._verify_in_new_process", lambda folder: load(folder).verify_all())
    pipeline = tried.pipeline.fit(tried.X, tried.y)

    dump(pipeline, tried.X, tried.y, tmp_path / "artifact", **tried.options)
    answer = make_client(artifacts=str(tmp_path / "artifact")).post("/predict", json=bodies(tried))

    assert answer.status_code == 200, answer.text
    assert_as_the_pipeline(tried, answer.json)


@pytest.mark.parametrize("tried", OVER_HTTP, ids=named)
def test_a_deployed_model_answers_as_its_pipeline_predicts(tried: TriedModel, tmp_path: Path) -> None:
    dump(tried.pipeline.fit(tried.X, tried.y), tried.X, tried.y, tmp_path / "artifact", **tried.options)

    with serve(tmp_path, f"sqlite:///{tmp_path}/log.db", artifacts=tmp_path / "artifact") as served:
        many = served.post("/predict", bodies(tried)).json()
        alone = [served.post("/predict", {**body, "id": f"{body['id']}"}).json() for body in bodies(tried)[:20]]

    assert_as_the_pipeline(tried, many)
    assert [json.dumps(one["predicted_class"] if "proba" in one else None) for one in alone] == [
        json.dumps(one["predicted_class"] if "proba" in one else None) for one in many[:20]
    ]
