"""The quality of a model: scikit-learn's metrics under their scikit-learn names, cross-validated or on given rows, and
the permutation importance of each column."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn import metrics as skm
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.inspection import permutation_importance
from sklearn.model_selection import KFold, StratifiedKFold

from serialize.errors import DumpError
from serialize.formats.dataframes import as_pandas, take
from serialize.frame import build_input, observations
from serialize.infer_task import infer_task
from serialize.model import Model
from serialize.task import Label, Outputs, Task

Vector = np.ndarray[Any, Any]

FOLDS = 5
_IMPORTANCE_ROWS = 1000
_IMPORTANCE_REPEATS = 5
_MANY_COLUMNS = 100


def score(task: Task, truth: Vector, outputs: Outputs) -> dict[str, float]:
    """The metrics of n outputs, of shape (n, n_classes) or (n, 1), against the true labels or values, of shape (n,):
    labels as indices into `task.classes`. A metric that is undefined for these rows (ROC AUC of a single class) is left
    out."""
    with warnings.catch_warnings(), np.errstate(over="ignore", invalid="ignore"):
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        warnings.filterwarnings("ignore", message="The y_prob values do not sum to one")
        match task.kind:
            case "binary":
                found = _binary(task, truth == task.positive_index, outputs[:, task.positive_index].clip(0.0, 1.0))
            case "multiclass":
                found = _multiclass(task, truth, outputs.clip(0.0, 1.0))
            case "regression":
                found = _regression(truth, outputs[:, 0])
    return {name: float(value) for name, value in found.items() if np.isfinite(value)}


def cross_validate(
    pipeline: Any,
    X: Any,
    y: Any,
    *,
    threshold: float | None = None,
    positive_class: Label | None = None,
    done: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Metrics of clones of the pipeline on five held-out folds (stratified for a classifier, shuffled): by name the
    mean and the standard deviation over the folds. `done` is called after each fold. Raises DumpError for too few
    rows, in total or of one class."""
    y = np.asarray(as_pandas(y))
    _refuse_few(y, is_classifier(pipeline))
    splitter = (StratifiedKFold if is_classifier(pipeline) else KFold)(FOLDS, shuffle=True, random_state=0)
    by_fold = []
    for train, test in splitter.split(X, y):
        fold = clone(pipeline).fit(take(X, train), y[train])
        task = infer_task(fold, threshold=threshold, positive_class=positive_class)
        answer = fold.predict if task.kind == "regression" else fold.predict_proba
        outputs = np.asarray(answer(take(X, test)), dtype=float).reshape(len(test), -1)
        by_fold.append(score(task, encode(task, fold, y[test]), outputs))
        done()
    found = {name: [fold_scores.get(name, np.nan) for fold_scores in by_fold] for name in by_fold[0]}
    spread = {name: {"mean": float(np.mean(of)), "std": float(np.std(of))} for name, of in found.items()}
    defined = {name: figures for name, figures in spread.items() if not np.isnan(figures["mean"])}
    return {"method": f"{FOLDS}-fold cross-validation", "metrics": defined}


def in_sample(model: Model, y: Any, outputs: Outputs) -> dict[str, Any]:
    """Metrics on the training rows, for a model without held-out metrics. They are too optimistic, so their `method` is
    "in-sample"."""
    found = score(model.task, encode(model.task, model.pipeline, y), outputs)
    return {"method": "in-sample", "metrics": {name: {"mean": value} for name, value in found.items()}}


def importances(model: Model, table: pd.DataFrame, y: Any) -> dict[str, Any]:
    """The loss of score when one column is shuffled, by column name, as mean and standard deviation over five shuffles
    (one shuffle for more than 100 columns) of at most 1,000 rows (Breiman 2001;
    scikit-learn's permutation_importance). The score is ROC AUC (binary), accuracy (multiclass) or R2 (regression)."""
    metric = {"binary": "roc_auc", "multiclass": "accuracy", "regression": "r2"}[model.task.kind]
    truth = encode(model.task, model.pipeline, y)
    sample = np.random.default_rng(0).permutation(len(table))[:_IMPORTANCE_ROWS]
    X = build_input(model.signature, observations(table.iloc[sample]))

    def scorer(estimator: _InColumns, X: Any, truth: Vector) -> float:
        return score(model.task, truth, estimator.outputs(X)).get(metric, 0.0)

    result = permutation_importance(
        _InColumns(model),
        X if X.ndim == 2 else X.to_frame() if isinstance(X, pd.Series) else X.reshape(-1, 1),
        truth[sample],
        scoring=scorer,
        n_repeats=_IMPORTANCE_REPEATS if len(table.columns) <= _MANY_COLUMNS else 1,
        random_state=0,
    )
    found = zip(table.columns, result.importances_mean, result.importances_std, strict=True)
    columns = {str(name): {"mean": float(mean), "std": float(std)} for name, mean, std in found}
    return {"metric": metric, "columns": columns}


def encode(task: Task, pipeline: Any, y: Any) -> Vector:
    """The targets, of shape (n,), as `score` takes them: indices into the classes, or numbers."""
    values = np.asarray(y).reshape(-1)
    if task.kind == "regression":
        try:
            return values.astype(float)
        except (TypeError, ValueError):
            raise DumpError("y_train holds values that are not numbers, but the model is a regressor.") from None
    position = {label: i for i, label in enumerate(np.asarray(pipeline.classes_).tolist())}
    unknown = [label for label in set(values.tolist()) if label not in position]
    if unknown:
        raise DumpError(f"y_train holds {unknown[0]!r}, a class that the model was not fitted on.")
    return np.array([position[label] for label in values.tolist()])


def _refuse_few(y: Vector, classes: bool) -> None:
    if len(y) < FOLDS:
        raise DumpError(f"{FOLDS}-fold cross-validation needs {FOLDS} rows or more, and there are {len(y)}; add rows.")
    if not classes:
        return
    labels, counts = np.unique(y, return_counts=True)
    if len(labels) < 2:
        raise DumpError(f"The target is {labels[0]!s} in every row; add rows of another class.")
    if counts.min() < FOLDS:
        raise DumpError(
            f"{FOLDS}-fold cross-validation needs {FOLDS} rows of each class, and {labels[counts.argmin()]!s} has "
            f"{counts.min()}; add rows of that class or leave it out, or choose a regression if the target is a number."
        )


class _InColumns(BaseEstimator):  # type: ignore[misc]
    """The model as an estimator for input with two dimensions, so that single columns can be shuffled."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def fit(self, X: Any, y: Vector) -> "_InColumns":
        return self

    def outputs(self, X: Any) -> Outputs:
        container = self.model.signature.container
        if container in ("series", "vector"):
            X = X.iloc[:, 0] if container == "series" else X[:, 0]
        return self.model.outputs_of(X)


def _binary(task: Task, truth: Vector, proba: Vector) -> dict[str, float]:
    predicted = proba >= task.threshold
    both = 0 < truth.sum() < len(truth)
    found = {
        "accuracy": skm.accuracy_score(truth, predicted),
        "balanced_accuracy": skm.balanced_accuracy_score(truth, predicted) if both else np.nan,
        "precision": skm.precision_score(truth, predicted, zero_division=np.nan),
        "recall": skm.recall_score(truth, predicted, zero_division=np.nan),
        "f1": skm.f1_score(truth, predicted, zero_division=np.nan),
        "log_loss": skm.log_loss(truth, proba, labels=[False, True]),
        "brier_score": skm.brier_score_loss(truth, proba, pos_label=True, labels=[False, True]),
        "expected_calibration_error": _calibration_error(truth, proba),
    }
    if both:
        found["roc_auc"] = skm.roc_auc_score(truth, proba)
        found["average_precision"] = skm.average_precision_score(truth, proba)
    return found


def _multiclass(task: Task, truth: Vector, probas: Vector) -> dict[str, float]:
    predicted = probas.argmax(axis=1)
    known = list(range(len(task.classes)))
    return {
        "accuracy": skm.accuracy_score(truth, predicted),
        "balanced_accuracy": skm.recall_score(truth, predicted, average="macro", zero_division=np.nan),
        "precision_macro": skm.precision_score(truth, predicted, labels=known, average="macro", zero_division=0),
        "recall_macro": skm.recall_score(truth, predicted, labels=known, average="macro", zero_division=0),
        "f1_macro": skm.f1_score(truth, predicted, labels=known, average="macro", zero_division=0),
        "log_loss": skm.log_loss(truth, probas, labels=known),
        "expected_calibration_error": _calibration_error(truth == predicted, probas.max(axis=1)),
    }


def _regression(truth: Vector, predicted: Vector) -> dict[str, float]:
    return {
        "mean_absolute_error": skm.mean_absolute_error(truth, predicted),
        "root_mean_squared_error": skm.root_mean_squared_error(truth, predicted),
        "r2": skm.r2_score(truth, predicted) if len(truth) > 1 else np.nan,
        "bias": float(np.mean(predicted - truth)),
    }


def _calibration_error(truth: Vector, proba: Vector) -> float:
    """The expected calibration error: the mean distance between observed frequency and mean probability over ten bins
    of equal width (Naeini, Cooper and Hauskrecht 2015; bins as in scikit-learn's calibration_curve)."""
    place = np.searchsorted(np.linspace(0.0, 1.0, 11)[1:-1], proba)
    return float(np.abs(np.bincount(place, truth - proba)).sum() / len(truth))
