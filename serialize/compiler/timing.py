"""How fast a model answers: one row, and many by column, by its compiled form and by its pipeline."""

import time
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from typing import Any

from serialize.compiler.runtime.compiled_model import CompiledModel
from serialize.frame import Columns, Row
from serialize.model import Model

_MANY = 1_000
_ROUNDS = 5
_SECONDS = 0.002  # a measurement of one row takes at least this long


def timed(model: Model, compiled: CompiledModel | None, rows: Sequence[Row]) -> dict[str, Any]:
    """What the manifest says about scoring: the microseconds of one row (`row_us`) and the rows per second of 1,000
    rows by column (`rows_per_second`), of the compiled form and of the pipeline, fastest of five, with two digits; the
    steps of the pipeline that the compiled form calls (`native`); and which of both answers large arrays (`arrays`)."""
    forms: dict[str, Any] = {"pipeline": model} if compiled is None else {"compiled": compiled, "pipeline": model}
    many = list(islice(cycle(rows), _MANY))
    columns: Columns = {name: [row[name] for row in many] for name in model.signature.names}
    one, of_many = dict.fromkeys(forms, float("inf")), dict.fromkeys(forms, float("inf"))
    for _ in range(_ROUNDS):
        for name, form in forms.items():
            one[name] = min(one[name], _seconds(lambda form=form: form.outputs(rows[:1])))  # type: ignore[misc]
            of_many[name] = min(of_many[name], _once(lambda form=form: form.outputs_by_column(columns)))  # type: ignore[misc]
    return {
        "native": [] if compiled is None else compiled.native,
        "row_us": {name: _rounded(seconds * 1e6) for name, seconds in one.items()},
        "rows_per_second": {name: _rounded(_MANY / seconds) for name, seconds in of_many.items()},
        "arrays": min(of_many, key=of_many.__getitem__),
    }


def _seconds(call: Callable[[], object]) -> float:
    """The seconds of one call, the mean of several if it is short."""
    first = _once(call)
    calls = int(_SECONDS / first)
    if calls < 2:
        return first
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - start) / calls


def _once(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _rounded(figure: float) -> float:
    return float(f"{figure:.2g}")
