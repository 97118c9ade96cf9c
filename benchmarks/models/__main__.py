"""How each tried model is served: `python -m benchmarks.models`. It dumps each model of `tried_models` and measures the
time of a prediction, with the compiled form where there is one."""

import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from service.settings import set_native_defaults

set_native_defaults()

import click  # noqa: E402

from benchmarks import result  # noqa: E402
from benchmarks.compiled import microseconds  # noqa: E402
from benchmarks.machine import libraries, machine  # noqa: E402
from benchmarks.models.tried_models import TriedModel, tried_models  # noqa: E402
from serialize import DumpError, dump  # noqa: E402
from serialize.frame import as_table, observations  # noqa: E402


@click.command()
@click.option("--seconds", default=0.2, show_default=True, help="Time for each model and number of rows.")
def main(seconds: float) -> None:
    """Measure all models and write the result as JSON."""
    warnings.simplefilter("ignore")
    before = machine()
    models = [_measured(tried, seconds) for tried in tried_models()]
    found = {"machine": before, "versions": libraries({}), "settings": {"seconds": seconds}, "models": models}
    click.echo(f"Wrote {result.write('models', found).name}")


def _measured(tried: TriedModel, seconds: float) -> dict[str, Any]:
    """The microseconds for a row alone, and for a row in a batch of all training rows. `refused` is the sentence of
    dump, or None."""
    found: dict[str, Any] = {"group": tried.group, "name": tried.name, "refused": None}
    try:
        with TemporaryDirectory(prefix="models-") as folder:
            fitted = tried.pipeline.fit(tried.X, tried.y)
            options = {**tried.options, "metrics": "none", "importances": False}
            artifact = dump(fitted, tried.X, tried.y, Path(folder) / "artifact", **options)
    except DumpError as error:
        return {**found, "refused": str(error)}
    rows = observations(as_table(tried.X)[1])
    outputs = artifact.compiled.outputs if artifact.compiled else artifact.model.outputs
    return {
        **found,
        "not_compiled": artifact.manifest.not_compiled,
        "alone": microseconds(outputs, rows[:1], seconds),
        "rows": len(rows),
        "together": microseconds(outputs, rows, seconds) / len(rows),
    }


if __name__ == "__main__":
    main()
