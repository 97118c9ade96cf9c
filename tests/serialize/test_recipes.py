"""The built-in recipes make models that can be served, and the shipped model equals a new one from its recipe."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from serialize import Artifact, DumpError, load
from serialize.recipes import RECIPES
from serialize.recipes.recipe import Recipe, train

SHIPPED = Path(__file__).parents[2] / "artifacts"
OWEN = {"Age": 22.0, "Cabin": None, "Embarked": "S", "Fare": 7.25, "Parch": 0, "Pclass": 3, "Sex": "male", "SibSp": 1}


@pytest.fixture(scope="module", params=["titanic", "iris", "diabetes"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """The artifact of each recipe but those for text, which tests/deployed trains."""
    return train(RECIPES[request.param](), tmp_path_factory.mktemp(request.param) / "artifact")


def test_a_recipe_gives_an_artifact_with_held_out_metrics(made: Artifact) -> None:
    figures = made.manifest.metrics

    made.verify_all()
    assert len(made.training_data().X) == made.manifest.profile["columns"][made.model.signature.names[0]]["count"]
    least, most_of_baseline, metric = {
        "titanic": (0.75, 0.62, "accuracy"),
        "iris": (0.9, 0.34, "accuracy"),
        "diabetes": (0.4, 0.0, "r2"),
    }[made.manifest.name]
    assert figures["method"] == "5-fold cross-validation"
    assert figures["metrics"][metric]["mean"] > least
    assert figures["baseline"][metric]["mean"] <= most_of_baseline


def test_the_titanic_model_gives_this_passenger_one_chance_in_ten() -> None:
    outputs = load(SHIPPED).model.outputs([OWEN])

    assert outputs[0, 1] == pytest.approx(0.0958, abs=5e-5)


def distance_to_the_optimum(pipeline: Any, X: pd.DataFrame, y: "pd.Series[Any]") -> tuple[float, float]:
    """How far a fitted titanic pipeline is from the minimum of its loss: the norm of the gradient as a share of what
    the solver's stopping rule allows, and a bound on how far its probabilities are from those at the minimum.

    The bound is first order: with g the gradient, H the Hessian and x a row, the log odds differ by x' H^-1 g, which is
    at most sqrt(x' H^-1 x) sqrt(g' H^-1 g) (Cauchy and Schwarz), and a probability by p (1 - p) of that."""
    model = pipeline[-1]
    inputs = pipeline[:-1].transform(X).toarray()
    inputs = np.column_stack([inputs, np.ones(len(X))])  # liblinear penalises the intercept too
    weights, truth = np.append(model.coef_[0], model.intercept_), y.to_numpy(dtype=float)

    def gradient(weights: Any) -> Any:
        return weights + model.C * inputs.T @ (expit(inputs @ weights) - truth)

    p = expit(inputs @ weights)
    slope = p * (1 - p)
    inverse = np.linalg.inv(np.eye(len(weights)) + model.C * inputs.T @ (inputs * slope[:, None]))
    g = gradient(weights)
    allowed = model.tol * min(truth.mean(), 1 - truth.mean()) * np.linalg.norm(gradient(np.zeros_like(weights)))
    by_row = slope * np.sqrt(np.einsum("ij,jk,ik->i", inputs, inverse, inputs))
    return float(np.linalg.norm(g) / allowed), float(by_row.max() * np.sqrt(g @ inverse @ g))


def same(one: Any, other: Any, *, within: float) -> bool:
    """Whether two JSON values are equal; numbers within a relative or absolute tolerance."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name], within=within) for name in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(same(*pair, within=within) for pair in zip(one, other, strict=True))
    if isinstance(one, float):
        return math.isclose(one, other, rel_tol=within, abs_tol=within)
    return bool(one == other)


# The solver stops early, at a place that depends on the rounding of the CPU's BLAS kernels: the re-made probabilities
# differ from the shipped ones by 4e-6 on AVX2 and by 1.4e-4 on SSE. So both are compared with the minimum of the loss,
# which does not depend on it. A penalty that is 1 % stronger moves a probability by more than this.
NEAR = 0.001


def test_the_shipped_model_is_verified_and_equals_a_new_one() -> None:
    shipped, recipe = load(SHIPPED), RECIPES["titanic"]()
    fitted = clone(recipe.pipeline).fit(recipe.X, recipe.y)

    shipped.verify_all()
    bounds = []
    for pipeline in (shipped.pipeline, fitted):
        share, bound = distance_to_the_optimum(pipeline, recipe.X, recipe.y)
        assert share <= 1
        assert bound < NEAR
        bounds.append(bound)
    assert repr(clone(shipped.pipeline)) == repr(recipe.pipeline)
    found = shipped.model.outputs_of(recipe.X)
    np.testing.assert_allclose(found, fitted.predict_proba(recipe.X), rtol=0, atol=sum(bounds))
    assert shipped.manifest.task.classes == (False, True)


def test_the_shipped_manifest_equals_a_new_one(tmp_path: Path) -> None:
    shipped, made = load(SHIPPED).manifest, train(RECIPES["titanic"](), tmp_path / "artifact").manifest

    assert (made.name, made.task, made.signature) == (shipped.name, shipped.task, shipped.signature)
    assert same(made.profile["columns"], shipped.profile["columns"], within=1e-12)
    for one, other in zip(made.profile["outputs"].values(), shipped.profile["outputs"].values(), strict=True):
        assert same(one["quantiles"], other["quantiles"], within=2 * NEAR)
    assert made.golden.observations == shipped.golden.observations
    assert same(made.metrics, shipped.metrics, within=0.005)
    assert same(made.importances, shipped.importances, within=0.005)
    assert set(made.libraries) == set(shipped.libraries)
    assert (made.modules, made.not_compiled) == (shipped.modules, shipped.not_compiled)
    assert list(made.files) == list(shipped.files)


def test_the_shipped_model_keeps_the_rows_of_its_recipe() -> None:
    data, recipe = load(SHIPPED).training_data(), RECIPES["titanic"]()

    pd.testing.assert_frame_equal(data.X, recipe.X.reset_index(drop=True))
    assert data.y.tolist() == recipe.y.tolist()


def test_the_shipped_model_has_the_bounds_of_its_recipe() -> None:
    columns = {column.name: column for column in load(SHIPPED).manifest.signature}

    assert (columns["Age"].minimum, columns["Age"].maximum) == (0, 120)
    assert {name for name, column in columns.items() if column.nullable} == {"Age", "Cabin", "Embarked", "Fare"}


def test_a_recipe_that_cannot_be_fitted_is_refused_in_one_line(tmp_path: Path) -> None:
    X = pd.DataFrame({"a": [1.0, np.nan] * 10})

    with pytest.raises(DumpError, match=r"^nulls cannot be fitted \(ValueError: Input X contains NaN") as refused:
        train(Recipe("nulls", LogisticRegression(), X, pd.Series([0, 1] * 10)), tmp_path / "artifact")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "artifact").exists()
