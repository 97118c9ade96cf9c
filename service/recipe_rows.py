"""Rows of a built-in recipe that fits a model: observations with what is true of them, to fill a log with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from serialize.errors import DumpError
from serialize.frame import observations
from serialize.recipe import Recipe
from serialize.signature import Signature
from serialize.task import Label, Task
from service.errors import InvalidBody
from service.observation import ObservationParser

Recipes = Mapping[str, Callable[[], Recipe]]


@dataclass(frozen=True, slots=True)
class RecipeRows:
    """The name of the recipe, and n of its rows as observations with their true classes or values."""

    recipe: str
    observations: list[dict[str, Any]]
    targets: list[Label]


def fitting(
    recipes: Recipes, name: str, task: Task, signature: Signature, rows: int, seed: int = 0
) -> RecipeRows | None:
    """So many rows, or as many as there are, of the recipe of the model's own name if it fits, else of another that
    does; None where none does."""
    parser = ObservationParser(signature)
    for each in sorted(recipes, key=lambda recipe: recipe != name):
        try:
            recipe = recipes[each]()
            if _fits(recipe, task, signature):
                return _drawn(each, recipe, parser, signature, rows, seed)
        except (InvalidBody, DumpError, OSError):
            continue  # its values are not the model's, or its data are not installed
    return None


def _fits(recipe: Recipe, task: Task, signature: Signature) -> bool:
    """Whether the recipe has every column of the model, and targets of its kind."""
    if not set(signature.names) <= set(recipe.X.columns):
        return False
    if task.kind == "regression":
        return pd.api.types.is_float_dtype(recipe.y)
    return set(recipe.y.unique().tolist()) == set(task.classes)


def _drawn(
    name: str, recipe: Recipe, parser: ObservationParser, signature: Signature, rows: int, seed: int
) -> RecipeRows:
    # Data come in an order, such as one class after the other; what is drawn should not.
    chosen = np.random.RandomState(seed).permutation(len(recipe.X))[:rows]
    found = observations(recipe.X[list(signature.names)].iloc[chosen])
    for i, observation in enumerate(found):
        parser.parse({"id": i, "observation": observation})
    return RecipeRows(name, found, recipe.y.iloc[chosen].tolist())
