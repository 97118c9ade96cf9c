"""Why a pipeline cannot be fitted again: a part of it that a clone keeps as it is, or that cannot be cloned. Such a fit
would end without an error and leave the old model in place."""

from collections.abc import Iterator, Mapping
from typing import Any

from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from serialize.errors import one_line


def refusal(pipeline: Any) -> str | None:
    """A sentence that names the part of a pipeline that cannot be fitted again, or None: a FrozenEstimator, a part with
    prefit=True or cv="prefit", and an object that clone returns as it is, returns fitted, or cannot copy."""
    for name, part in _parts("", pipeline):
        if reason := _why_not(part):
            where = f'step "{name}"' if name else "the model"
            return f"The pipeline cannot be fitted again: {where} ({type(part).__name__}) {reason}."
    return None


def _parts(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The estimators in a value with their names, as in `set_params`: inner ones before those that hold them."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _parts(_joined(name, str(key)), item)
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            if isinstance(item, list | tuple) and len(item) > 1 and isinstance(item[0], str):
                yield from _parts(_joined(name, item[0]), item[1])
            else:
                yield from _parts(_joined(name, str(number)), item)
    elif hasattr(value, "get_params") and not isinstance(value, type):
        for key, inner in _parameters(value).items():
            is_steps = isinstance(inner, list) and key in ("steps", "transformers", "transformer_list", "estimators")
            yield from _parts(name if is_steps else _joined(name, key), inner)
        yield name, value
    elif not name:
        yield name, value


def _why_not(part: Any) -> str | None:
    if isinstance(part, FrozenEstimator):
        return "is frozen, and fit leaves it as it is; put the estimator itself there"
    parameters = _parameters(part)
    if parameters.get("prefit") is True or _is_prefit(parameters.get("cv")):
        return "is prefit, and fit leaves its estimator as it is; give it a number of folds, or prefit=False"
    try:
        copied = clone(part)
    except Exception as error:  # noqa: BLE001 - a class of the user's may raise anything
        return f"cannot be cloned ({one_line(error)})"
    if copied is part:
        return "is the same object after clone, and fit may leave it as it is; remove its __sklearn_clone__"
    if _clones_itself(part) and _is_fitted(copied):
        return "is still fitted after clone, and fit may leave it as it is; remove its __sklearn_clone__"
    return None


def _parameters(part: Any) -> dict[str, Any]:
    """The parameters of an estimator; none if it cannot tell them, and then clone fails too."""
    try:
        return dict(part.get_params(deep=False))
    except Exception:  # noqa: BLE001 - a class of the user's may raise anything
        return {}


def _is_prefit(cv: Any) -> bool:
    return isinstance(cv, str) and cv == "prefit"


def _clones_itself(part: Any) -> bool:
    own = getattr(type(part), "__sklearn_clone__", None)
    return own is not None and own is not BaseEstimator.__sklearn_clone__


def _is_fitted(part: Any) -> bool:
    try:
        check_is_fitted(part)
        return bool(get_tags(part).requires_fit)
    except (NotFittedError, TypeError, AttributeError):
        return False


def _joined(name: str, key: str) -> str:
    return f"{name}__{key}" if name else key
