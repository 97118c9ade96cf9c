"""Checks that a model answers each training row as the pipeline does: as a JSON observation, alone and in small
batches, and with the class that the pipeline itself predicts."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from serialize.checks.edge_rows import answers, changed, edge_rows
from serialize.checks.steps import first_different_step
from serialize.errors import DumpError, one_line
from serialize.formats.dataframes import is_foreign
from serialize.frame import Row
from serialize.model import Model
from serialize.task import Indices, Outputs

_ALONE_ROWS = 40
_BATCH_SIZES = (1, 2, 4, 8, 16)
# For all rows in small batches, and again for rows alone.
_SECONDS, _SECONDS_OF_MANY_COLUMNS = 2.0, 0.5
_MANY_COLUMNS = 100
# The greatest difference that passes, and the greatest that passes without a warning.
_TOLERANCES = (1e-6, 1e-9)
_SINGLE_PRECISION_TOLERANCES = (1e-4, 1e-6)
_SINGLE_PRECISION_ROUNDING = 1e-5

Floats = np.ndarray[Any, np.dtype[np.float64]]
Differences = dict[tuple[int, ...], Floats]


def check_rows(model: Model, X: Any, rows: Sequence[Row], outputs: Outputs, telling: Sequence[int]) -> list[str]:
    """Compares the outputs of the pipeline for the n training rows `X`, of shape (n, n_classes) or (n, 1), with those
    of the same rows as observations: all at once, and a sample of them alone and in small batches. `telling` are
    indices of rows with nulls and extremes. Returns warnings. Raises DumpError for a difference beyond rounding."""
    try:
        served = model.outputs(rows)
        differences = _batch_differences(model, rows, served, telling)
    except Exception as error:
        _refuse_foreign(X, one_line(error))
        raise DumpError(
            f"The pipeline cannot score training rows that come as JSON ({one_line(error)}); it must accept "
            "any number of rows in the form that it was fitted on."
        ) from error
    apart = _apart(served, outputs)
    wrong = np.flatnonzero(apart > (_SINGLE_PRECISION_ROUNDING if model.single_precision else _TOLERANCES[1]))
    if len(wrong):
        _refuse_foreign(X, f"{len(wrong)} of {len(rows)} training rows get other outputs")
        raise DumpError(
            f"{len(wrong)} of {len(rows)} training rows get other outputs when they come as JSON (the first is "
            f"row {int(wrong[0])}). Either the pipeline is random or depends on the order of rows, or a column mixes "
            "None and NaN as nulls: use one of them in the whole column and fit again."
        )
    return _batch_warnings(model, rows, differences)


def check_classes(model: Model, X: Any, rows: Sequence[Row], outputs: Outputs) -> None:
    """Compares the classes that the service answers with `predict` of the pipeline, on the n training rows, given as
    the input `X` and as observations, and on edge rows. Raises DumpError for the first difference."""
    if model.task.kind == "regression" or model.task.ties == "rule":
        return
    try:
        predicted = model.class_indices_of(X)
    except KeyError as error:
        raise DumpError(
            f"predict of the pipeline gives {error.args[0]!r}, which is not in its classes_; let it predict them."
        ) from error
    if len(wrong := _wrong(model, predicted, outputs)):
        first = int(wrong[0])
        raise DumpError(
            f"Training row {first}: {_conflict(model, int(predicted[first]), outputs[first])}. "
            f"{len(wrong)} of {len(rows)} rows differ. {_advice(model, predicted, outputs)}"
        )
    edges = edge_rows(model.signature, rows)
    at_edges = answers(model.outputs, edges, outputs.shape[1])
    predicted_at_edges = answers(lambda some: model.class_indices(some)[:, None].astype(float), edges, 1)[:, 0]
    known = np.flatnonzero(~np.isnan(at_edges[:, 0]) & ~np.isnan(predicted_at_edges))
    if len(wrong := _wrong(model, predicted_at_edges[known].astype(int), at_edges[known])):
        first = int(known[wrong[0]])
        raise DumpError(
            f"An observation with {changed(edges[first], rows[0]) or 'the values of the first row'}: "
            f"{_conflict(model, int(predicted_at_edges[first]), at_edges[first])}. {_advice(model, predicted, outputs)}"
        )


def _refuse_foreign(X: Any, reason: str) -> None:
    """Raises DumpError if the training rows are a frame of another library than pandas."""
    if is_foreign(X):
        library = type(X).__module__.partition(".")[0]
        raise DumpError(
            f"The service passes a pandas DataFrame to the pipeline, which works only with its {library} form "
            f"({reason}); convert the training data to pandas and fit again."
        )


def _batch_differences(model: Model, rows: Sequence[Row], served: Outputs, telling: Sequence[int]) -> Differences:
    """By the indices of the rows of a batch: how far its outputs are from those of all rows at once, of shape (n,). A
    sample of rows alone is always compared, further batches and rows alone as time allows: a step may depend on the
    other rows for one row in a thousand only, as a KNNImputer does where distances are equal."""
    spread = np.linspace(0, len(rows) - 1, _ALONE_ROWS // 2).astype(int)
    alone = np.unique([*spread, *telling[: _ALONE_ROWS // 2]])
    order = np.random.default_rng(0).permutation(len(rows))
    ends = np.cumsum(np.resize(_BATCH_SIZES, len(rows)))
    small = np.split(order, ends[ends < len(rows)])
    differences = {}
    limit = _SECONDS if len(rows[0]) <= _MANY_COLUMNS else _SECONDS_OF_MANY_COLUMNS
    for batches, seconds in ((alone[:, None], np.inf), (small, limit), (order[:, None], limit)):
        end = time.monotonic() + seconds
        for batch in batches:
            outputs = model.outputs([rows[i] for i in batch])
            differences[tuple(map(int, batch))] = _apart(outputs, served[batch])
            if time.monotonic() > end:
                break
    return differences


def _batch_warnings(model: Model, rows: Sequence[Row], differences: Differences) -> list[str]:
    batch, apart = max(differences.items(), key=lambda entry: float(entry[1].max()))
    greatest, at = float(apart.max()), batch[int(apart.argmax())]
    error, warning = _SINGLE_PRECISION_TOLERANCES if model.single_precision else _TOLERANCES
    if greatest <= warning:
        return []
    step = first_different_step(model, rows, batch, at, warning)
    how = "alone" if len(batch) == 1 else f"in a batch of {len(batch)}"
    found = f"Training row {at} gets another output when it is scored {how} (the difference is {greatest:.2g})"
    if greatest > error:
        raise DumpError(
            f"{found}. {step} computes with the other rows of the call: let it compute means, ranks and dummies in "
            "fit, and replace a KNNImputer, whose equal distances depend on rounding."
        )
    return [f"{found}; {step} depends on the other rows of the call."]


def _apart(left: Outputs, right: Outputs) -> Floats:
    """The greatest difference in each row, relative for values above 1; infinite for another shape."""
    if left.shape != right.shape:
        return np.full(len(right), np.inf)
    apart = np.abs(left - right) / np.maximum(1.0, np.abs(right))
    return np.asarray(np.where(np.isnan(apart), np.inf, apart).max(axis=1))


def _wrong(model: Model, predicted: Indices, outputs: Outputs) -> Indices:
    """The rows whose class does not follow from the probabilities."""
    return np.flatnonzero((predicted != model.task.class_indices(outputs)) & ~model.task.tied(outputs))


def _conflict(model: Model, predicted: int, output: Outputs) -> str:
    task = model.task
    if task.kind == "binary":
        rule = (
            f"the probability of {task.positive_class!r} is {output[task.positive_index]:.6g} and the threshold "
            f"{task.threshold:g}"
        )
    else:
        best = int(output.argmax())
        rule = f"the most probable class is {task.classes[best]!r} ({output[best]:.6g})"
    return f"predict gives {task.classes[predicted]!r}, but {rule}"


def _advice(model: Model, predicted: Indices, outputs: Outputs) -> str:
    wrapped = "CalibratedClassifierCV(classifier, ensemble=False) and fit again; its predict follows its probabilities."
    if model.task.kind != "binary":
        return f"Wrap the classifier in {wrapped}"
    positive = model.task.positive_index
    proba, yes = outputs[:, positive], predicted == positive
    above, below = proba[yes].min(initial=1.0), proba[~yes].max(initial=0.0)
    if yes.any() and below < above:
        return f"Pass threshold={_between(below, above)} to dump, which explains every training row."
    by_probability = f"Pass threshold={model.task.threshold:g} to dump, which classifies by probability"
    return f"{by_probability}, or wrap the classifier in {wrapped}"


def _between(below: float, above: float) -> str:
    """The shortest decimal number above one probability, up to another."""
    for digits in range(1, 17):
        number = np.ceil(above * 10**digits - 1) / 10**digits
        if below < number <= above:
            return f"{number:.{digits}f}"
    return repr(float(above))
