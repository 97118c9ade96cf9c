"""The programs of many kinds of pipelines against the pipelines themselves: `python -m benchmarks.models.kinds`. Each
kind of `tests/support/kinds` is fitted, and answers new rows with unseen texts and nulls: one, and 10,000 at once.
pandas keeps texts as Python strings, as it does in a service with the libraries of requirements.txt."""

import time
import warnings
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from service.settings import set_native_defaults

set_native_defaults()

import click  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

from benchmarks import result  # noqa: E402
from benchmarks.compiled import microseconds  # noqa: E402
from benchmarks.machine import libraries, machine  # noqa: E402
from serialize.compiler.compile import compile_model  # noqa: E402
from serialize.compiler.runtime.compiled_model import CompiledModel  # noqa: E402
from serialize.compiler.runtime.program import Program  # noqa: E402
from serialize.frame import Row  # noqa: E402
from tests.support.kinds.data import new_rows  # noqa: E402
from tests.support.kinds.table import GROUPS, fitted  # noqa: E402

Outputs = Callable[[Sequence[Row]], Any]


@click.command()
@click.option("--rounds", default=3, show_default=True)
@click.option("--rows", default=10_000, show_default=True, help="Rows of a batch.")
@click.option("--seconds", default=0.05, show_default=True, help="Time for one row, for each form and round.")
@click.option("--only", default="", help="Only the kinds with this text in their names; writes no file.")
def main(rounds: int, rows: int, seconds: float, only: str) -> None:
    """Measure all kinds and write the result as JSON."""
    warnings.simplefilter("ignore")
    before = machine()
    kinds = []
    chosen = [(group, name) for group, named in GROUPS.items() for name in named if only in name]
    with pd.option_context("mode.string_storage", "python"):  # requirements.txt has no pyarrow
        for group, name in chosen:
            kinds.append({"group": group, "name": name, **_measured(name, rounds, rows, seconds)})
            click.echo(_line(kinds[-1]), err=True)
    settings = {"rounds": rounds, "rows": rows, "seconds": seconds}
    found = {"machine": before, "versions": libraries({}), "settings": settings, "kinds": kinds}
    if not only:
        click.echo(f"Wrote {result.write('kinds', found).name}")


def _measured(name: str, rounds: int, number: int, seconds: float) -> dict[str, Any]:
    """The medians of the rounds: microseconds for one row (the fastest call of a round), and rows per second of a
    batch. `reason` says why there is no program, or is None."""
    model, known = fitted(name)
    built = compile_model(model, known)
    rows = new_rows(model.signature, known, number)
    forms: dict[str, Outputs] = {"pipeline": model.outputs}
    found: dict[str, Any] = {"reason": built.reason}
    if built.content is not None:
        program = CompiledModel(built.content, model)
        forms["program"] = program.outputs
        apart = [np.abs(program.outputs(some) - model.outputs(some)).max() for some in (known, rows)]
        found |= {
            "native": program.native,
            "pandas": _needs_pandas(Program.from_bytes(built.content)),
            "difference": max(apart),
        }
    one: dict[str, list[float]] = {form: [] for form in forms}
    many: dict[str, list[float]] = {form: [] for form in forms}
    for _ in range(rounds):
        for form, outputs in forms.items():
            one[form].append(microseconds(outputs, rows[:1], seconds))
            many[form].append(_per_second(outputs, rows))
    return {
        **found,
        "microseconds": {form: median(times) for form, times in one.items()},
        "per_second": {form: median(speeds) for form, speeds in many.items()},
        "rounds": {"microseconds": one, "per_second": many},
    }


def _needs_pandas(program: Program) -> bool:
    """Whether an instruction makes a frame."""
    return any(
        each.operation == "native_raw" or each.parameters.get("form") == "frame" for each in program.instructions
    )


def _per_second(outputs: Outputs, rows: Sequence[Row]) -> float:
    start = time.perf_counter()
    outputs(rows)
    return len(rows) / (time.perf_counter() - start)


def _line(kind: dict[str, Any]) -> str:
    times = ", ".join(f"{form} {found:,.0f} us" for form, found in kind["microseconds"].items())
    return f"{kind['name']}: {times}"


if __name__ == "__main__":
    main()
