"""Texts drift if more of their words are unknown: another language is named. New texts of the same kind are not named,
and neither are the training texts."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from serialize import Artifact, dump
from serialize.frame import observations
from service.monitoring.comparison import Comparison, compare
from tests.conftest import MakeClient


def texts(count: int, prefix: str = "w", seed: int = 0) -> list[str]:
    """Texts of 10 to 60 words that start with the prefix; a few words are very frequent, and most are rare."""
    random = np.random.default_rng(seed)
    sizes = random.integers(10, 60, count)
    return [" ".join(f"{prefix}{number}" for number in random.zipf(1.4, size) % 10_000) for size in sizes]


TRAINING = texts(1500)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    X = pd.DataFrame({"text": TRAINING})
    y = X["text"].str.len() > 200
    pipeline = make_pipeline(TfidfVectorizer(max_features=50), LogisticRegression()).fit(X["text"], y)
    return dump(
        pipeline, X["text"], y, tmp_path_factory.mktemp("texts") / "artifact", metrics="none", importances=False
    )


@pytest.fixture
def profile(artifact: Artifact) -> Any:
    return artifact.manifest.profile["columns"]["text"]


def verdict(profile: Any, rows: list[str]) -> tuple[str, Comparison]:
    found = compare("text", profile, rows, 4)
    (change,) = [change for change in found.changes if change.name == "unknown words"]
    return change.verdict(None if change.p_value is None else min(1.0, 4 * change.p_value)), found


@pytest.mark.parametrize("size", [100, 500, pytest.param(12_000, marks=pytest.mark.long)])
def test_texts_of_the_same_kind_raise_an_alarm_in_1_of_100_windows(profile: Any, size: int) -> None:
    """A column may be "drifted" by chance in 1 of 100 windows. More than two of 40 have a probability below 1 %."""
    random = np.random.default_rng(size)
    for source in (TRAINING, texts(20_000, seed=1)):
        found = [verdict(profile, [str(text) for text in random.choice(source, size)])[0] for _ in range(40)]
        assert found.count("drifted") <= 2
        assert found.count("ok") >= 35


@pytest.mark.parametrize("size", [100, 500, 12_000])
def test_texts_in_another_language_are_named(profile: Any, size: int) -> None:
    others = [*texts(size - size // 4, seed=1), *texts(size // 4, "x")]

    found, comparison = verdict(profile, others)

    assert found == "drifted"
    rates = comparison.statistics
    assert rates["unknown_words_rate"] > rates["reference_unknown_words_rate"] + 0.15
    assert rates["reference_unknown_words_rate"] == profile["unknown_words"]["mean"]


def test_the_report_names_the_change(make_client: MakeClient, artifact: Artifact) -> None:
    client = make_client(artifacts=str(artifact.path))
    rows = observations(pd.DataFrame({"text": texts(200, "x")}))
    client.post("/predict", json=[{"id": i, "observation": row} for i, row in enumerate(rows)])

    column = client.get("/drift").json["columns"]["text"]

    assert column["verdict"] == "drifted"
    assert column["changes"] == ["unknown words"]
    assert column["unknown_words_rate"] == 1.0
