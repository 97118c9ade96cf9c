"""The compiled form against its pipeline: `python -m benchmarks.compiled`. For each built-in recipe and for each model
of `python -m serialize train` it measures the largest difference of the outputs over all training rows, and the time of
one call by the number of rows."""

import time
from collections.abc import Callable, Iterable, Mapping
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from service.settings import set_native_defaults

set_native_defaults()

import click  # noqa: E402
import numpy as np  # noqa: E402

from benchmarks import result  # noqa: E402
from benchmarks.machine import libraries, machine  # noqa: E402
from benchmarks.passengers import DATA, TARGET  # noqa: E402
from serialize.frame import observations  # noqa: E402
from serialize.recipes import RECIPES  # noqa: E402
from serialize.recipes.csv import from_csv  # noqa: E402
from serialize.recipes.recipe import Recipe, train  # noqa: E402

_SIZES = (1, 64, 1_000)
_CALLS = 5


@click.command()
@click.option("--seconds", default=1.0, show_default=True, help="Time for each model, form and number of rows.")
def main(seconds: float) -> None:
    """Measure all models and write the result as JSON."""
    before = machine()
    models = {name: _measured(recipe, seconds) for name, recipe in _recipes()}
    settings = {"seconds": seconds, "sizes": _SIZES}
    found = {"machine": before, "versions": libraries({}), "settings": settings, "models": models}
    click.echo(f"Wrote {result.write('compiled', found).name}")


def _recipes() -> Iterable[tuple[str, Recipe]]:
    for name, recipe in RECIPES.items():
        if name == "pairs":  # it has no compiled form
            continue
        yield f"recipe {name}", recipe()
    for model in ("logistic", "forest", "boosting"):
        yield f"titanic.csv, `--model {model}`", from_csv(DATA, TARGET, model=model)


def _measured(recipe: Recipe, seconds: float) -> Mapping[str, Any]:
    with TemporaryDirectory(prefix="compiled-") as folder:
        artifact = train(recipe, Path(folder) / "artifact")
    if artifact.compiled is None:
        raise click.ClickException(f"{recipe.name} has no compiled form: {artifact.manifest.not_compiled}")
    rows = observations(recipe.X)
    forms = {"compiled": artifact.compiled.outputs, "pipeline": artifact.model.outputs}
    times = {
        size: {name: microseconds(outputs, list(islice(cycle(rows), size)), seconds) for name, outputs in forms.items()}
        for size in _SIZES
    }
    difference = float(np.abs(artifact.compiled.outputs(rows) - artifact.model.outputs(rows)).max())
    return {"rows": len(rows), "difference": difference, "microseconds": times}


def microseconds(outputs: Callable[[Any], Any], rows: Any, seconds: float) -> float:
    """The time of the fastest call, which other load on the machine disturbs least. At least five calls are made."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < _CALLS:
        start = time.perf_counter()
        outputs(rows)
        times.append(time.perf_counter() - start)
    return min(times) * 1e6


if __name__ == "__main__":
    main()
