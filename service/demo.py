"""Demo data for the served model: rows of a built-in recipe, and their predictions and labels in the log."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from serialize.errors import DumpError
from serialize.frame import observations
from serialize.manifest import Manifest
from serialize.recipes import BuiltIn
from serialize.recipes.recipe import Recipe
from serialize.signature import Signature
from serialize.task import Label, Task
from service.batching import Aside
from service.errors import InvalidBody, ServiceError
from service.prediction.observation import ObservationParser
from service.prediction.service import PredictionService

Recipes = Mapping[str, BuiltIn]

MOST_ROWS = 10_000
DEFAULT_ROWS = 500

_ROWS_AT_ONCE = 100


class NoDemo(ServiceError):
    status, slug, title = 409, "no-demo", "There is no demo for this model"


@dataclass(frozen=True, slots=True)
class Seeded:
    """The name of the recipe, the number of its rows in the log, and whether all of them were there before."""

    recipe: str
    rows: int
    replayed: bool


class Demo:
    """Fills the log through the prediction service, at most `max_items` rows per call, with rows of one of the
    `recipes`. `aside` builds the recipe outside of the event loop."""

    def __init__(
        self, manifest: Manifest, service: PredictionService, recipes: Recipes, max_items: int, aside: Aside
    ) -> None:
        self._manifest = manifest
        self._service = service
        self._recipes = recipes
        self._aside = aside
        self._rows_at_once = min(_ROWS_AT_ONCE, max_items)
        self._true = "true_value" if manifest.task.kind == "regression" else "true_class"

    def seed(self, rows: int) -> Seeded:
        """Predicts and labels up to this number of rows of a recipe, with the ids demo-0, demo-1, ... A repetition
        changes nothing. Raises NoDemo if no recipe fits, before anything is stored."""
        manifest = self._manifest
        build = partial(recipe_rows, self._recipes, manifest.name, manifest.task, manifest.signature, rows)
        found: SourceRows = self._aside(build)
        predictions = [{"id": f"demo-{i}", "observation": row} for i, row in enumerate(found.observations)]
        labels = [{"id": f"demo-{i}", self._true: target} for i, target in enumerate(found.targets)]
        replayed = True
        for start in range(0, len(predictions), self._rows_at_once):
            chunk = slice(start, start + self._rows_at_once)
            replayed &= self._service.predict(predictions[chunk]).replayed
            self._service.update(labels[chunk])
        return Seeded(found.source, len(predictions), replayed)


@dataclass(frozen=True, slots=True)
class SourceRows:
    """The name of a data set, and n of its rows as observations with their true classes or values, None if unknown."""

    source: str
    observations: list[dict[str, Any]]
    targets: list[Label | None]


def recipe_rows(recipes: Recipes, name: str, task: Task, signature: Signature, rows: int, seed: int = 0) -> SourceRows:
    """Up to this number of rows of a recipe that fits the model, in random order; a recipe with the name of the model
    is tried first. Raises NoDemo if no recipe fits."""
    for each in sorted(recipes, key=lambda recipe: recipe != name):
        columns = recipes[each].columns
        if columns is not None and not set(signature.names) <= columns:
            continue
        try:
            recipe = recipes[each]()
            if _fits(recipe, task, signature):
                return _chosen(each, recipe, signature, rows, seed)
        except (InvalidBody, DumpError, OSError):
            continue  # the model does not accept its values, or its data are not installed
    raise NoDemo(
        f"No built-in data set ({', '.join(recipes)}) fits the model {name}; give rows of your own to "
        "`python -m service seed` or `simulate` with --data FILE --target COLUMN."
    )


def _fits(recipe: Recipe, task: Task, signature: Signature) -> bool:
    """Whether the recipe has every column of the model, and the same kind of target."""
    if not set(signature.names) <= set(recipe.X.columns):
        return False
    if task.kind == "regression":
        return pd.api.types.is_float_dtype(recipe.y)
    return set(recipe.y.unique().tolist()) == set(task.classes)


def _chosen(name: str, recipe: Recipe, signature: Signature, rows: int, seed: int) -> SourceRows:
    # The order is random, because data sets are often sorted by class.
    chosen = np.random.RandomState(seed).permutation(len(recipe.X))[:rows]
    found = observations(recipe.X[list(signature.names)].iloc[chosen])
    parser = ObservationParser(signature)
    for i, observation in enumerate(found):
        parser.parse({"id": i, "observation": observation})
    return SourceRows(name, found, recipe.y.iloc[chosen].tolist())
