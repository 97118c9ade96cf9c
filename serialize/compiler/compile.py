"""Makes a program of a fitted pipeline, and proves that it answers as the pipeline does."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from serialize.checks.edge_rows import answers, edge_rows
from serialize.compiler.builder import Builder
from serialize.compiler.equivalence import difference
from serialize.compiler.rules.composition import estimated
from serialize.compiler.runtime.compiled_model import CompiledModel
from serialize.errors import one_line
from serialize.frame import Row
from serialize.model import Model

_TRIAL = 200


@dataclass(frozen=True, slots=True)
class Compilation:
    """The content of a program, or one sentence that says why there is none."""

    content: bytes | None
    reason: str | None


def compile_model(model: Model, rows: Sequence[Row]) -> Compilation:
    """The program of a model, proved to give equal outputs for the training rows (at most the first 100,000) and for
    edge rows. Never raises: a pipeline that has no program gets a reason."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            content = _content(model, rows)
            unequal = difference(model, CompiledModel(content, model).outputs, rows)
        except Exception as error:  # noqa: BLE001 - any pipeline can be served without a program
            return Compilation(None, f"It could not be compiled ({one_line(error)}).")
    return Compilation(content, None) if unequal is None else Compilation(None, unequal)


def _content(model: Model, rows: Sequence[Row]) -> bytes:
    builder = Builder(model, rows, _trial_rows(model, rows))
    method = "predict" if model.task.kind == "regression" else "predict_proba"
    outputs = estimated(builder, (), method, builder.observation())
    return builder.program(builder.block(outputs).register).to_bytes()


def _trial_rows(model: Model, rows: Sequence[Row]) -> list[Row]:
    """Training rows and edge rows that the pipeline answers."""
    places = np.unique(np.linspace(0, len(rows) - 1, _TRIAL).astype(int))
    tried = [*(rows[place] for place in places.tolist()), *edge_rows(model.signature, rows)]
    answered = ~np.isnan(answers(model.outputs, tried, len(model.task.classes) or 1)[:, 0])
    return [row for row, is_answered in zip(tried, answered.tolist(), strict=True) if is_answered]
