"""Cross-validation of a pipeline: clones of it are fitted on folds of the rows and scored on the others. Where that is
impossible, the model is scored on its training rows, and the method says so."""

import math
import textwrap
import time
import warnings
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from joblib.parallel import get_active_backend
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold, check_cv
from sklearn.utils.validation import check_is_fitted

from serialize.errors import DumpError, one_line
from serialize.figures import Figures
from serialize.formats.dataframes import as_pandas, take
from serialize.infer_task import classification, labels
from serialize.quality.evaluation import Vector, encode, score
from serialize.task import Label, Outputs, Task

Scores = dict[str, float]

FOLDS = 5
_LONGEST_REASON = 150


class NotCrossValidated(DumpError):
    """The pipeline or its rows cannot be cross-validated; `reason` says why."""

    def __init__(self, reason: str) -> None:
        self.reason = _short(reason)
        super().__init__(f"Cross-validation is impossible ({self.reason}); add rows, or score the model in-sample.")


def cross_validate(
    pipeline: Any,
    X: Any,
    y: Any,
    *,
    cv: Any = None,
    groups: Any = None,
    cv_seconds: float = math.inf,
    threshold: float | None = None,
    positive_class: Label | None = None,
    done: Callable[[], None] = lambda: None,
) -> Figures:
    """Metrics of clones of the pipeline on held-out folds, as `dump` takes them: by name the mean and the standard
    deviation over the folds in which the metric is defined.

    `baseline` holds the same metrics of a model that ignores the columns: it predicts the most frequent class with the
    frequencies of the classes as probabilities, or the mean. A pipeline may have `make_baseline()`, which returns
    another unfitted baseline.

    `X` holds n rows and `y` n targets. `cv` is a number of folds (5 if None), a splitter of scikit-learn, or an
    iterable of (train, test) index arrays. A number means shuffled folds, stratified for a classifier; with `groups`,
    of shape (n,), the rows of a group are in the same fold. If a class or the groups are too few for the number, there
    are fewer folds. After `cv_seconds` no further fold is begun; the first is always finished. `method` states fewer
    folds, and why. `done` is called after each fold. Raises NotCrossValidated, a DumpError, if no fold can be fitted
    and scored, and DumpError for a `cv` that cannot split the rows."""
    y = as_pandas(y)
    task, classes = _task(pipeline, y, threshold, positive_class)
    truth, plain = encode(task, y, classes), _plain(y)
    _refuse_prefit(pipeline)
    splitter, wanted, reasons = _splitter(cv, plain, groups, task)
    began, by_fold, of_baseline, failures = time.monotonic(), list[Scores](), list[Scores](), list[str]()
    baseline = _baseline(pipeline, task)

    def in_time(splits: Iterator[Any]) -> Iterator[Any]:
        for number, split in enumerate(splits):
            if number and time.monotonic() - began >= cv_seconds:
                reasons.append(f"the time limit of {cv_seconds:g} s was reached")
                return
            yield split

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the fit on all rows has already given them
        for fold in Parallel(n_jobs=_jobs(), return_as="generator")(
            delayed(_fold)(pipeline, baseline, task, classes, X, y, truth, train, test)
            for train, test in in_time(_splits(splitter, X, plain, groups))
        ):
            if isinstance(fold, str):
                failures.append(fold)
            else:
                by_fold.append(fold.scores)
                of_baseline.append(fold.of_baseline)
            done()
    if not by_fold:
        raise NotCrossValidated(failures[0] if failures else "there are no folds")
    if failures:
        reasons.append(f"{len(failures)} failed: {_short(failures[0])}")
    fewer = f" (of {wanted}; {'; '.join(reasons)})" if reasons else ""
    named = {} if cv is None and groups is None else {"splitter": type(splitter).__name__}
    method = f"{len(by_fold)}-fold cross-validation{fewer}"
    return {"method": method, **named, "metrics": _spread(by_fold), "baseline": _spread(of_baseline)}


def in_sample(
    task: Task, truth: Vector, outputs: Outputs, predicted: Vector | None = None, reason: str | None = None
) -> Figures:
    """Metrics on the training rows, from the arguments of `score`. They are too optimistic, so their `method` begins
    with "in-sample"; `reason` says why there are no others."""
    found = score(task, truth, outputs, predicted)
    method = f"in-sample ({reason})" if reason else "in-sample"
    return {"method": method, "metrics": {name: {"mean": value} for name, value in found.items()}}


def _jobs() -> int | None:
    """Several folds at once if joblib is told to use processes or a cluster; threads are left to the estimator."""
    backend, _ = get_active_backend()
    return 1 if getattr(backend, "uses_threads", False) else None


class _Fold(NamedTuple):
    """The metrics on the held-out rows of a fold, and those of the baseline."""

    scores: Scores
    of_baseline: Scores


def _fold(
    pipeline: Any, baseline: Any, task: Task, classes: Any, X: Any, y: Any, truth: Vector, train: Any, test: Any
) -> _Fold | str:
    """Fits clones on the rows `train` and scores them on the rows `test`; if that fails, the reason in one line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the fit on all rows has already given them
            y_train = take(y, train)
            fitted = (clone(pipeline).fit(take(X, train), y_train), deepcopy(baseline).fit(take(X, train), y_train))
            return _Fold(*(score(task, truth[test], *_outputs(each, task, classes, take(X, test))) for each in fitted))
    except Exception as error:  # noqa: BLE001 - a pipeline may raise anything when it is fitted again
        return one_line(error)


def _task(pipeline: Any, y: Any, threshold: float | None, positive_class: Label | None) -> tuple[Task, Any]:
    classes = None if is_regressor(pipeline) else getattr(pipeline, "classes_", None)
    if classes is None and is_classifier(pipeline):
        classes = np.unique(_plain(y))
    if classes is None:
        return Task("regression"), ()
    return classification(pipeline, labels(classes), threshold, positive_class), classes


def _baseline(pipeline: Any, task: Task) -> Any:
    if hasattr(pipeline, "make_baseline"):
        return pipeline.make_baseline()
    return DummyRegressor() if task.kind == "regression" else DummyClassifier()


def _plain(y: Any) -> Vector:
    """The targets as an array of shape (n,), not of Python objects: scikit-learn's splitters refuse those."""
    array = np.asarray(y).reshape(-1)
    return np.array(array.tolist()) if array.dtype == object else array


def _refuse_prefit(pipeline: Any) -> None:
    """Raises NotCrossValidated for a pipeline that cannot be cloned, or with a part that stays fitted in a clone: fit
    leaves that part as it is, so its training rows would be in every fold."""
    try:
        check_is_fitted(clone(pipeline))
    except NotFittedError:
        if not _is_frozen(pipeline):
            return
    except Exception as error:
        raise NotCrossValidated(f"it cannot be cloned: {one_line(error)}") from error
    raise NotCrossValidated("a part of the pipeline is frozen and is not fitted again")


def _is_frozen(part: Any) -> bool:
    if isinstance(part, list | tuple):
        return any(map(_is_frozen, part))
    if isinstance(part, type) or not hasattr(part, "get_params"):
        return False
    return isinstance(part, FrozenEstimator) or any(map(_is_frozen, part.get_params(deep=False).values()))


def _splitter(cv: Any, y: Vector, groups: Any, task: Task) -> tuple[Any, int, list[str]]:
    """The splitter, the number of folds that is wanted, and why it makes fewer."""
    stratified = task.kind != "regression"
    if cv is not None and not isinstance(cv, int | np.integer):
        try:
            splitter = check_cv(cv, y, classifier=stratified)
            return splitter, int(splitter.get_n_splits(y, y, groups)), []
        except (TypeError, ValueError) as error:
            raise _unsplittable(error) from error
    wanted = FOLDS if cv is None else int(cv)
    if wanted < 2:
        raise DumpError(f"cv={cv} is not a number of folds; give 2 or more.")
    most, reason = _most_folds(y, groups, stratified)
    if most < 2:
        raise NotCrossValidated(reason)
    folds = min(wanted, most)
    reasons = [reason] if folds < wanted else []
    if groups is not None and not stratified:
        return GroupKFold(folds), wanted, reasons
    kind = KFold if not stratified else StratifiedKFold if groups is None else StratifiedGroupKFold
    return kind(folds, shuffle=True, random_state=0), wanted, reasons


def _most_folds(y: Vector, groups: Any, stratified: bool) -> tuple[int, str]:
    """The most folds that the rows, the groups and the smallest class allow, and which of them it is."""
    found = [(len(y), "the data has {}", "row")]
    if groups is not None:
        found.append((len(set(np.asarray(groups).tolist())), "the data has {}", "group"))
    if stratified:
        values, counts = np.unique(y, return_counts=True)
        found.append((int(counts.min()), f"class {values[counts.argmin()]} has {{}}", "row"))
    count, text, unit = min(found)
    return count, text.replace("{}", f"{count} {unit}{'' if count == 1 else 's'}")


def _splits(splitter: Any, X: Any, y: Vector, groups: Any) -> Iterator[tuple[Any, Any]]:
    try:
        yield from splitter.split(X, y, groups)
    except (TypeError, ValueError) as error:
        raise _unsplittable(error) from error


def _unsplittable(error: Exception) -> DumpError:
    return DumpError(f"cv cannot split these rows ({one_line(error)}); give another cv or groups.")


def _outputs(fitted: Any, task: Task, classes: Any, X: Any) -> tuple[Outputs, Vector | None]:
    """The outputs of a clone for held-out rows, and its classes. A class that its training rows lack has probability
    0."""
    if task.kind == "regression":
        return np.asarray(fitted.predict(X), dtype=float).reshape(-1, 1), None
    probas = np.asarray(fitted.predict_proba(X), dtype=float)
    outputs = np.zeros((len(probas), len(task.classes)))
    outputs[:, encode(task, fitted.classes_, classes)] = probas
    predicted = task.class_indices(outputs)
    tied = np.flatnonzero(task.tied(outputs))
    if len(tied) and task.ties == "pipeline":
        predicted[tied] = encode(task, fitted.predict(take(X, tied)), classes)
    return outputs, predicted


def _spread(by_fold: list[Scores]) -> dict[str, dict[str, float]]:
    """The mean and the deviation of each metric over the folds that define it; without those that overflow."""
    names = dict.fromkeys(name for found in by_fold for name in found)
    spread: dict[str, dict[str, float]] = {}
    for name in names:
        values = [found[name] for found in by_fold if name in found]
        with np.errstate(over="ignore", invalid="ignore"):
            found = {"mean": float(np.mean(values)), **({"std": float(np.std(values))} if len(values) > 1 else {})}
        spread[name] = {key: value for key, value in found.items() if np.isfinite(value)}
        if len(values) < len(by_fold):
            spread[name]["folds"] = len(values)
    return {name: figure for name, figure in spread.items() if "mean" in figure}


def _short(text: str) -> str:
    return textwrap.shorten(text, _LONGEST_REASON, placeholder=" ...")
