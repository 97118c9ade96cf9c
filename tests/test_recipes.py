"""The built-in recipes make models that can be served, and the model that ships is the one its recipe makes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from serialize import Artifact, DumpError, load
from serialize.recipe import Recipe, train
from serialize.recipes import RECIPES

SHIPPED = Path(__file__).parents[1] / "artifacts"
OWEN = {"Age": 22.0, "Cabin": None, "Embarked": "S", "Fare": 7.25, "Parch": 0, "Pclass": 3, "Sex": "male", "SibSp": 1}


@pytest.fixture(scope="module", params=list(RECIPES))
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """The artifact of each recipe in turn."""
    return train(RECIPES[request.param](), tmp_path_factory.mktemp(request.param) / "artifact")


def test_a_recipe_gives_an_artifact_with_held_out_metrics(made: Artifact) -> None:
    figures = made.manifest.metrics

    made.prove_all()
    least, metric = {"titanic": (0.75, "accuracy"), "iris": (0.9, "accuracy"), "diabetes": (0.4, "r2")}[
        made.manifest.name
    ]
    assert figures["method"] == "5-fold cross-validation"
    assert figures["metrics"][metric]["mean"] > least


def test_the_titanic_model_gives_this_passenger_one_chance_in_ten() -> None:
    outputs = load(SHIPPED).model.outputs([OWEN])

    assert outputs[0, 1] == pytest.approx(0.0958, abs=5e-5)


def test_the_model_that_ships_is_proven_and_is_what_its_recipe_makes_now() -> None:
    shipped, recipe = load(SHIPPED), RECIPES["titanic"]()

    shipped.prove_all()
    fitted = recipe.pipeline.fit(recipe.X, recipe.y)
    np.testing.assert_allclose(shipped.model.outputs_of(recipe.X), fitted.predict_proba(recipe.X), rtol=0, atol=1e-9)
    assert shipped.manifest.task.classes == (False, True)


def test_the_model_that_ships_knows_the_bounds_that_its_recipe_declares() -> None:
    columns = {column.name: column for column in load(SHIPPED).manifest.signature}

    assert (columns["Age"].minimum, columns["Age"].maximum) == (0, 120)
    assert {name for name, column in columns.items() if column.nullable} == {"Age", "Cabin", "Embarked", "Fare"}


def test_a_recipe_that_cannot_be_fitted_is_refused_in_one_line(tmp_path: Path) -> None:
    X = pd.DataFrame({"a": [1.0, np.nan] * 10})

    with pytest.raises(DumpError, match=r"^nulls cannot be fitted \(ValueError: Input X contains NaN") as refused:
        train(Recipe("nulls", LogisticRegression(), X, pd.Series([0, 1] * 10)), tmp_path / "artifact")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "artifact").exists()
