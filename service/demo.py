"""A log to look at: rows of a built-in recipe that fits the served model, asked for and labelled as a client would."""

from dataclasses import dataclass
from typing import Any

from serialize.manifest import Manifest
from service.errors import Fault, InvalidBody, ServiceError, pointer, shown
from service.flow import Flow
from service.recipe_rows import Recipes, fitting

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

    def __init__(self, manifest: Manifest, flow: Flow, recipes: Recipes, max_items: int) -> None:
        self._manifest = manifest
        self._flow = flow
        self._recipes = recipes
        self._rows_at_once = min(_ROWS_AT_ONCE, max_items)
        self._true = "true_value" if manifest.task.kind == "regression" else "true_class"

    def seed(self, payload: Any) -> Seeded:
        """Predicts and labels rows of a recipe under the ids demo-0, demo-1, ...: as many as the payload's `rows`, 500
        where it says nothing, and no more than the recipe has. Repeating it changes nothing. Raises InvalidBody for
        another payload, and NoDemo where no recipe fits, before anything is stored."""
        recipe, predictions, labels = self._bodies(_rows_of(payload))
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
