"""Survival on the Titanic: the model that the repository ships. A binary task with nulls and text."""

from pathlib import Path

import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from serialize.errors import DumpError
from serialize.recipes.recipe import Recipe
from serialize.transformers import null_blind_one_hot

DATA = Path(__file__).parents[2] / "data" / "titanic.csv"


def titanic() -> Recipe:
    """1,309 passengers: one-hot sex, port and cabin (a null is all zeros), mean-imputed numbers, and a logistic
    regression. Raises DumpError if its data are missing: the installed package does not include them."""
    if not DATA.is_file():
        raise DumpError("titanic needs data/titanic.csv, which is in the repository and not in the installed package.")
    passengers = pd.read_csv(DATA)
    X, y = passengers.drop(columns="Survived"), passengers["Survived"].astype(bool)
    strings = ["Sex", "Cabin", "Embarked"]
    numbers = ["Pclass", "Age", "SibSp", "Parch", "Fare"]
    columns = make_column_transformer((null_blind_one_hot(X[strings]), strings), (SimpleImputer(), numbers))
    return Recipe(
        name="titanic",
        pipeline=make_pipeline(columns, LogisticRegression(solver="liblinear", random_state=42)),
        X=X,
        y=y,
        declared={"bounds": {"Age": (0, 120), "SibSp": (0, None), "Parch": (0, None), "Fare": (0, None)}},
    )
