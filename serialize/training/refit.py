"""Fits a pipeline again on its training data and on rows of the log, and gives `fit` the kind of input that it got
before."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

from serialize.errors import DumpError
from serialize.frame import Row
from serialize.model import Model
from serialize.signature import Scalar, Signature
from serialize.task import Label
from serialize.training.data import Form, TrainingData
from serialize.training.refusal import refusal

Truth = Label | float

_WEIGHTS = "sample_weight"
# Their `fit` takes parameters for the estimator that they hold; others need scikit-learn's metadata routing.
_PASSING_ON = (GridSearchCV, RandomizedSearchCV, TransformedTargetRegressor)


class Fitted(Protocol):
    """What this module needs of an artifact."""

    @property
    def model(self) -> Model:
        """The model."""

    def training_data(self) -> TrainingData:
        """The data that it was fitted on."""


def refit(artifact: Fitted, X: Any, y: Any, weights: Any = None) -> Any:
    """A clone of the pipeline, fitted on n rows and targets and, if they are given, n `weights`. Raises DumpError for a
    pipeline that cannot be fitted again or takes no weights, for a fit that fails, and for other classes than before:
    one of them may be missing in the rows. MemoryError passes."""
    pipeline = artifact.model.pipeline
    if reason := refusal(pipeline):
        raise DumpError(reason)
    options = {}
    if weights is not None:
        parameter = _weight_parameter(pipeline)
        if parameter is None:
            raise DumpError(f"{type(pipeline).__name__} takes no {_WEIGHTS}; fit it without weights.")
        options = {parameter: np.asarray(weights, dtype=float)}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the first fit has already given them
            fitted = clone(pipeline).fit(X, y, **options)
    except MemoryError:
        raise
    except Exception as error:
        kind = type(error).__name__  # its message may hold values of the rows, and ours is stored
        raise DumpError(f"The pipeline cannot be fitted again on these rows ({kind}).") from error
    require_same_classes(artifact.model, fitted)
    return fitted


def require_same_classes(model: Model, fitted: Any) -> None:
    """Raises DumpError if a pipeline that was fitted again has other classes than the model."""
    if model.task.kind == "regression":
        return
    before, after = (np.asarray(each.classes_).tolist() for each in (model.pipeline, fitted))
    if before == after:
        return
    missing, new = ([label for label in one if label not in other] for one, other in ((before, after), (after, before)))
    found = f"no row of the class {missing[0]!r}" if missing else f"a class {new[0]!r} that the model does not know"
    raise DumpError(f"The rows have {found}; a model that is fitted again must have the same classes.")


def takes_weights(pipeline: Any) -> bool:
    """Whether `refit` can give weights of rows to the final estimator of a pipeline, or to the estimator around it."""
    return _weight_parameter(pipeline) is not None


def join(base: TrainingData, rows: Sequence[Row], truths: Sequence[Truth], artifact: Fitted) -> TrainingData:
    """The base rows, then n observations of the log with their true classes or values, in the container and with the
    dtypes of the base. Raises DumpError for a true class that the model does not know."""
    return _data(base, rows, truths, artifact.model, with_base=True)


def only(
    rows: Sequence[Row], truths: Sequence[Truth], artifact: Fitted, base: TrainingData | None = None
) -> TrainingData:
    """The same without the base rows, which say only what form the rows have; by default they are those of the
    artifact. Raises DumpError as `join`, and ArtifactError if the artifact keeps no training data."""
    base = artifact.training_data() if base is None else base
    return _data(base, rows, truths, artifact.model, with_base=False)


def _data(
    base: TrainingData, rows: Sequence[Row], truths: Sequence[Truth], model: Model, *, with_base: bool
) -> TrainingData:
    form, targets = Form.of(base.X, model.signature), Form.of_targets(base.y)
    own = targets.rows(base.y)
    added = _as_targets(targets, own, truths, model)
    if not with_base:
        return TrainingData(form.build(rows), _targets(targets, [], added))
    return TrainingData(form.build([*form.rows(base.X), *rows]), _targets(targets, own, added))


def _as_targets(form: Form, own: Sequence[Row], truths: Sequence[Truth], model: Model) -> list[dict[str, Scalar]]:
    """The true classes or values as targets: each class as the value that the training data have for it."""
    name = form.signature.names[0]
    if model.task.kind == "regression":
        return [{name: truth} for truth in truths]
    values = {row[name]: row[name] for row in own}
    classes = np.asarray(model.pipeline.classes_).tolist()
    by_label = {label: values.get(value, value) for label, value in zip(model.task.classes, classes, strict=True)}
    try:
        return [{name: by_label[truth]} for truth in truths]
    except KeyError as error:
        raise DumpError(f"{error.args[0]!r} is not a class of the model.") from None


def _targets(form: Form, own: Sequence[Row], added: Sequence[Mapping[str, Scalar]]) -> Any:
    """The targets as `fit` takes them. Integers become floats if a true value has a fraction."""
    column = form.signature.columns[0]
    if column.kind == "integer" and not all(float(row[column.name] or 0).is_integer() for row in added):
        column = replace(column, kind="number", dtype="float64")
        form = replace(form, signature=Signature(form.signature.container, (column,)))
    return form.build([*own, *added])


def _weight_parameter(estimator: Any) -> str | None:
    """The name under which `fit` takes weights of rows and uses them for the final estimator; None if it does not."""
    if isinstance(estimator, Pipeline):
        name, final = estimator.steps[-1]
        inner = _weight_parameter(final)
        return None if inner is None else f"{name}__{inner}"
    parameters = estimator.get_params(deep=False) if hasattr(estimator, "get_params") else {}
    held = next((parameters[name] for name in ("estimator", "regressor") if parameters.get(name) is not None), None)
    if has_fit_parameter(estimator, _WEIGHTS):
        return _WEIGHTS if held is None or _weight_parameter(held) == _WEIGHTS else None
    return _weight_parameter(held) if isinstance(estimator, _PASSING_ON) else None
