"""A log to look at: rows of a built-in recipe that fits the served model, asked for and labelled as a client would."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from serialize.errors import DumpError
from serialize.frame import observations
from serialize.manifest import Manifest
from serialize.recipe import Recipe
from serialize.task import Label
from service.errors import Fault, InvalidBody, ServiceError, pointer, shown
from service.flow import Flow
from service.observation import ObservationParser

MOST_ROWS = 10_000

_USUAL_ROWS = 500
_ROWS_AT_ONCE = 100
_EXPECTED = f"an integer from 1 to {MOST_ROWS}"


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

    def __init__(
        self,
        manifest: Manifest,
        parser: ObservationParser,
        flow: Flow,
        recipes: Mapping[str, Callable[[], Recipe]],
        max_items: int,
    ) -> None:
        self._manifest = manifest
        self._parser = parser
        self._flow = flow
        self._recipes = recipes
        self._rows_at_once = min(_ROWS_AT_ONCE, max_items)
        self._true = "true_value" if manifest.task.kind == "regression" else "true_class"

    def seed(self, payload: Any) -> Seeded:
        """Predicts and labels rows of a recipe under the ids demo-0, demo-1, ...: as many as the payload's `rows`, 500
        where it says nothing, and no more than the recipe has. Repeating it changes nothing. Raises InvalidBody for
        another payload, and NoDemo where no recipe fits, before anything is stored."""
        recipe, predictions, labels = self._fitting(_rows_of(payload))
        replayed = True
        for start in range(0, len(predictions), self._rows_at_once):
            chunk = slice(start, start + self._rows_at_once)
            replayed &= self._flow.predict(predictions[chunk]).replayed
            self._flow.update(labels[chunk])
        return Seeded(recipe, len(predictions), replayed)

    def _fitting(self, rows: int) -> tuple[str, list[dict[str, Any]], list[dict[str, Any]]]:
        """The recipe of the model's own name if it fits, else another that does."""
        for name in sorted(self._recipes, key=lambda name: name != self._manifest.name):
            try:
                recipe = self._recipes[name]()
                if self._fits(recipe):
                    return name, *self._bodies(recipe, rows)
            except (InvalidBody, DumpError, OSError):
                continue  # its values are not the model's, or its data are not installed
        raise NoDemo(
            f"No built-in data set fits the model {self._manifest.name}; there are rows for models of "
            f"{', '.join(self._recipes)}."
        )

    def _fits(self, recipe: Recipe) -> bool:
        """Whether the recipe has every column of the model, and targets of its kind."""
        if not set(self._manifest.signature.names) <= set(recipe.X.columns):
            return False
        if self._manifest.task.kind == "regression":
            return pd.api.types.is_float_dtype(recipe.y)
        return set(recipe.y.unique().tolist()) == set(self._manifest.task.classes)

    def _bodies(self, recipe: Recipe, rows: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        # Data come in an order, such as one class after the other; a demo should not.
        chosen = np.random.RandomState(0).permutation(len(recipe.X))[:rows]
        X = recipe.X[list(self._manifest.signature.names)].iloc[chosen]
        predictions = [{"id": f"demo-{i}", "observation": row} for i, row in enumerate(observations(X))]
        for body in predictions:
            self._parser.parse(body)
        targets: list[Label] = recipe.y.iloc[chosen].tolist()
        return predictions, [{"id": f"demo-{i}", self._true: target} for i, target in enumerate(targets)]


def _rows_of(payload: Any) -> int:
    """The number of rows that is asked for. Raises InvalidBody."""
    expected = "an object with the key rows, or none"
    if not isinstance(payload, dict):
        raise InvalidBody([Fault("", f"expected {expected}; got {shown(payload)}", payload, expected)])
    faults = [
        Fault(pointer(key), f"{key} is not taken here; expected {expected}", value, expected)
        for key, value in payload.items()
        if key != "rows"
    ]
    rows = payload.get("rows", _USUAL_ROWS)
    if isinstance(rows, float) and rows.is_integer():
        rows = int(rows)
    if isinstance(rows, bool) or not isinstance(rows, int) or not 1 <= rows <= MOST_ROWS:
        faults.append(Fault("/rows", f"rows: expected {_EXPECTED}; got {shown(rows)}", rows, _EXPECTED))
    if faults:
        raise InvalidBody(faults)
    return int(rows)
