"""Pipelines that a user's script dumps give the same outputs over HTTP as in the script, for every row and within 1e-9;
nulls are JSON null."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.passengers import PROJECT
from tests.support.served import environment, serve

pytestmark = pytest.mark.long  # a script and a service for each model

HEAD = """
import json, sys
import numpy as np, pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from serialize import dump
table = pd.read_csv("passengers.csv").sample(frac=1, random_state=1)[:600]
y = table.pop("Survived")
strings, numbers = ["Sex", "Cabin", "Embarked"], ["Pclass", "Age", "SibSp", "Parch", "Fare"]
"""

TAIL = """
dump(pipeline, X, y, "artifacts", **options)
names = list(X.columns) if hasattr(X, "columns") else [X.name]
frame = X if hasattr(X, "columns") else X.to_frame()
rows = [
    {name: None if pd.isna(value) else getattr(value, "item", lambda: value)() for name, value in zip(names, row)}
    for row in frame.itertuples(index=False, name=None)
]
answers = pipeline.predict_proba(X) if hasattr(pipeline, "predict_proba") else pipeline.predict(X).reshape(-1, 1)
json.dump({"rows": rows, "answers": answers.tolist()}, open("expected.json", "w"))
"""

MODELS = {
    "liblinear on one-hot and mean-imputed columns": """
X, options = table, {"bounds": {"Age": (0, 120)}}
seen = [np.array(sorted(X[name].dropna().unique()), dtype=object) for name in strings]
one_hot = OneHotEncoder(categories=seen, handle_unknown="ignore")
columns = make_column_transformer((one_hot, strings), (SimpleImputer(), numbers))
pipeline = make_pipeline(columns, LogisticRegression(solver="liblinear")).fit(X, y)
""",
    "histogram boosting on category dtypes": """
X, options = table.astype(dict.fromkeys(strings, "category")), {}
pipeline = HistGradientBoostingClassifier(categorical_features="from_dtype", max_iter=20).fit(X, y)
""",
    "TF-IDF on a single text column": """
X, options = table["Cabin"].fillna("no cabin at all " + table["Embarked"]).fillna("none").rename("story"), {}
pipeline = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(X, y)
""",
    "SVC with probability": """
X, options = table[numbers].astype({"Pclass": "Int64"}), {}
scaled = make_pipeline(SimpleImputer(), StandardScaler())
pipeline = make_pipeline(scaled, CalibratedClassifierCV(SVC(), ensemble=False)).fit(X, y)
""",
    "a custom transformer from the user's own module": """
from family import FamilySize
X, options = table[numbers], {"nullable": ["Pclass"]}
pipeline = make_pipeline(FamilySize(), SimpleImputer(), LogisticRegression(max_iter=1000)).fit(X, y)
""",
    "a forest that predicts a number": """
X, options = table.drop(columns="Fare")[["Pclass", "Age", "SibSp", "Parch"]], {}
y = table["Fare"].fillna(0.0)
pipeline = make_pipeline(SimpleImputer(), RandomForestRegressor(20, n_jobs=2, random_state=0)).fit(X, y)
""",
    "three string labels": """
X, options = table[["Age", "SibSp", "Parch", "Fare"]], {}
y = table["Pclass"].map({1: "first", 2: "second", 3: "third"})
pipeline = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()).fit(X, y)
""",
}


@pytest.mark.parametrize("name", MODELS)
def test_a_pipeline_gives_the_same_outputs_over_http_as_in_the_users_script(name: str, tmp_path: Path) -> None:
    (tmp_path / "family.py").write_text((PROJECT / "tests" / "support" / "family.py").read_text())
    (tmp_path / "passengers.csv").write_text((PROJECT / "data" / "titanic.csv").read_text())
    (tmp_path / "script.py").write_text(HEAD + MODELS[name] + TAIL)
    path = environment(PYTHONPATH=str(PROJECT))
    subprocess.run([sys.executable, "script.py"], cwd=tmp_path, env=path, check=True)
    expected = json.loads((tmp_path / "expected.json").read_text())
    rows, answers = expected["rows"], np.array(expected["answers"])

    own = {"PYTHONPATH": str(tmp_path)}
    with serve(tmp_path, f"sqlite:///{tmp_path}/log.db", artifacts=tmp_path / "artifacts", variables=own) as served:
        many = served.post("/predict", [{"id": i, "observation": row} for i, row in enumerate(rows)])
        single = [served.post("/predict", {"id": f"{i}", "observation": row}).json() for i, row in enumerate(rows[:50])]

    assert many.status_code == 200, many.text
    assert [numbers_of(body) for body in many.json()] == pytest.approx(answers[:, -1], abs=1e-9)
    assert [numbers_of(body) for body in single] == pytest.approx(answers[:50, -1], abs=1e-9)


def numbers_of(body: dict[str, object]) -> object:
    """The number in a response that equals the last column of the pipeline's outputs."""
    if "probas" in body:
        return list(body["probas"].values())[-1]  # type: ignore[attr-defined]
    return body.get("predicted_value", body.get("proba"))
