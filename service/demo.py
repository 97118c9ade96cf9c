"""Rows of a built-in recipe that fits the served model, and the demo that fills the log with them as a client would."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from serialize.errors import DumpError
from serialize.frame import observations
from serialize.manifest import Manifest
from serialize.recipes.recipe import Recipe
from serialize.signature import Signature
from serialize.task import Label, Task
from service.errors import InvalidBody, ServiceError
from service.prediction.observation import ObservationParser
from service.prediction.service import PredictionService

Recipes = Mapping[str, Callable[[], Recipe]]

MOST_ROWS = 10_000
DEFAULT_ROWS = 500

_ROWS_AT_ONCE = 100


class NoDemo(ServiceError):
    status, slug, title = 409, "no-demo", "There is no demo for this model"


@dataclass(frozen=True, slots=True)
class Seeded:
    """The name of the recipe, how many of its rows are in the log now, and whether all were there before."""

    recipe: str
    rows: int
    replayed: bool


class Demo:
    """Fills the log through `flow`. `recipes` makes each recipe by its name, `max_items` is the most that the flow
    takes at once."""

    def __init__(self, manifest: Manifest, flow: PredictionService, recipes: Recipes, max_items: int) -> None:
        self._manifest = manifest
        self._flow = flow
        self._recipes = recipes
        self._rows_at_once = min(_ROWS_AT_ONCE, max_items)
        self._true = "true_value" if manifest.task.kind == "regression" else "true_class"

    def seed(self, rows: int) -> Seeded:
        """Predicts and labels so many rows of a recipe, or all that it has, under the ids demo-0, demo-1, ...
        Repeating it changes nothing. Raises NoDemo if no recipe fits, before anything is stored."""
        recipe, predictions, labels = self._bodies(rows)
        replayed = True
        for start in range(0, len(predictions), self._rows_at_once):
            chunk = slice(start, start + self._rows_at_once)
            replayed &= self._flow.predict(predictions[chunk]).replayed
            self._flow.update(labels[chunk])
        return Seeded(recipe, len(predictions), replayed)

    def _bodies(self, rows: int) -> tuple[str, list[dict[str, Any]], list[dict[str, Any]]]:
        """The recipe's name, and the bodies of predictions and of labels."""
        manifest = self._manifest
        found = fitting(self._recipes, manifest.name, manifest.task, manifest.signature, rows)
        if found is None:
            raise NoDemo(
                f"No built-in data set fits the model {manifest.name}; there are rows for models of "
                f"{', '.join(self._recipes)}."
            )
        predictions = [{"id": f"demo-{i}", "observation": row} for i, row in enumerate(found.observations)]
        return found.recipe, predictions, [{"id": f"demo-{i}", self._true: one} for i, one in enumerate(found.targets)]


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
