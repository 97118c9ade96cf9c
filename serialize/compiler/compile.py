"""Compiles a fitted pipeline to an ONNX model and verifies that its outputs are equal, or gives the reason why there
is no compiled form.

A category becomes an integer code by dictionary lookup, and a text becomes sums over the weights of its words; the rest
is one graph in double precision. Numeric steps are computed as scikit-learn computes them; the result of a step for a
category is read from a table."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from serialize.compiler.equivalence import difference
from serialize.compiler.features import NoCompiledForm, features_of
from serialize.compiler.graph import Graph
from serialize.compiler.matrix import EstimatorInput
from serialize.compiler.predictors import convert_estimator
from serialize.compiler.runtime import CODES, INPUTS_KEY, NUMBERS, TEXTS, CompiledModel, Inputs
from serialize.compiler.tables import BuildContext
from serialize.compiler.text import TextSums
from serialize.errors import one_line
from serialize.frame import Row, build_input
from serialize.model import Model


@dataclass(frozen=True, slots=True)
class Compilation:
    """The ONNX model, or one sentence that says why there is none."""

    content: bytes | None
    reason: str | None


def compile_model(model: Model, rows: Sequence[Row]) -> Compilation:
    """The compiled form of a model, verified to give equal outputs for the training observations (at most the first
    100,000) and for edge rows. Never raises: a model that cannot be converted, or differs, gets a reason."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            content = _converted(model, rows[0])
            unequal = difference(model, CompiledModel(content, model.task, model.signature).outputs, rows)
        except NoCompiledForm as error:
            return Compilation(None, str(error))
        except Exception as error:  # noqa: BLE001 - any pipeline can be served without a compiled form
            return Compilation(None, f"It could not be compiled ({one_line(error)}).")
    return Compilation(content, None) if unequal is None else Compilation(None, unequal)


def _converted(model: Model, row: Row) -> bytes:
    context = BuildContext(Graph(), Inputs(), TextSums(), model.task, row)
    source = EstimatorInput(features_of(model.signature), lambda rows: build_input(model.signature, rows), context)
    outputs = convert_estimator(model.pipeline, source)
    if context.inputs.numbers:
        context.graph.input(NUMBERS, len(context.inputs.numbers))
    if context.inputs.codes:
        context.graph.input(CODES, len(context.inputs.codes), whole=True)
    if context.texts.count:
        context.graph.input(TEXTS, context.texts.count)
        context.inputs.texts = context.texts.joined()
    width = len(model.task.classes) or 1
    return context.graph.to_bytes(outputs, width, {INPUTS_KEY: context.inputs.to_json()})
