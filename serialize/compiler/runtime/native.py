"""Steps of the pipeline that a program calls: over a plain array, over objects, over a sparse matrix, or over
a small frame; and the analyzers of vectorizers."""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import joblib
import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix, hstack
from sklearn.base import BaseEstimator

from serialize.compiler.runtime.texts import TermRows, Terms
from serialize.frame import Columns, build_input_by_column, typed_columns
from serialize.signature import Container, Scalar, Signature

try:
    from pandas.api.internals import create_dataframe_from_blocks
except ImportError:  # pandas before 3.0
    create_dataframe_from_blocks = None

Array = np.ndarray[Any, Any]
# How to find a step: attributes, and indices of sequences, from the pipeline on.
Path = tuple[str | int, ...]
# A call of a method of a step, or a choice of columns by their indices; one index gives a column of shape (n,).
Link = Mapping[str, Any]


class Native:
    """Calls a method of a step with a block of shape (n, k): as it is, as objects, or as a frame with these names and
    dtypes. Or with blocks and terms as one sparse matrix, of which it takes some `places` (None for all)."""

    def __init__(
        self, pipeline: Any, _: Signature, path: Sequence[str | int], method: str, form: str, step: str, **given: Any
    ) -> None:
        found = step_at(pipeline, path)
        self._call = getattr(found if form == "frame" else bare(found), method)
        self._form, self._given = form, given
        self._names = pd.Index(given.get("names", ()))

    def __call__(self, X: Any, *more: Any) -> Array:
        if self._form == "sparse":
            pairs = zip((X, *more), self._given["places"], strict=True)
            given: Any = csr_matrix(hstack([_sparse(part, places) for part, places in pairs]))
        else:
            given = np.ascontiguousarray(X)
        if self._form == "objects":
            given = X.astype(object)
        elif self._form == "frame":
            given = self._frame(X)
        with joblib.parallel_config(backend="sequential"):
            return dense(self._call(given))

    def _frame(self, X: Array) -> pd.DataFrame:
        """A new frame for each call. If the pipeline's own frame keeps its columns in one array, this one does too: a
        step can write into an array that it gets from a frame, unless it is the array of the frame itself."""
        frame = pd.DataFrame(X, columns=self._names.view())
        dtypes = self._given["dtypes"]
        if self._given.get("is_one_array") and str(X.dtype) in dtypes.values():
            return frame
        return frame.astype(dtypes)


def _sparse(part: Any, places: Array | None) -> Any:
    found = part.matrix() if isinstance(part, TermRows) else csr_matrix(part)
    return found if places is None else found[:, places]


class NativeRaw:
    """Calls several steps with the columns of observations, as the pipeline gets them. It gives a block, or terms if
    the last step gives a sparse matrix of them."""

    def __init__(
        self,
        pipeline: Any,
        signature: Signature,
        container: Container,
        names: Sequence[str],
        links: Sequence[Link],
        step: str,
        sparse: bool = False,
    ) -> None:
        self._result: Callable[[Any], Any] = TermRows.of if sparse else dense
        columns = tuple(column for name in names for column in signature if column.name == name)
        self._signature = Signature(container, columns)
        self._names = _names_of_columns(names)
        self._places = [np.array([place]) for place in range(len(names))]
        self._links = [followed(pipeline, link) for link in links]

    def __call__(self, *columns: Sequence[Scalar]) -> Any:
        names = self._signature.names
        X = self._input(dict(zip(names, columns, strict=True)))
        with joblib.parallel_config(backend="sequential"):
            for link in self._links:
                X = link(X)
        return self._result(X)

    def _input(self, columns: Columns) -> Any:
        """What `build_input_by_column` gives, but a frame of one row takes a third of the time."""
        if self._signature.container != "frame" or create_dataframe_from_blocks is None:
            return build_input_by_column(self._signature, columns)
        arrays = typed_columns(self._signature, columns)
        parts = [each.reshape(1, -1) if isinstance(each, np.ndarray) else each for each in arrays]
        blocks = list(zip(parts, self._places, strict=True))
        return create_dataframe_from_blocks(blocks, pd.RangeIndex(len(arrays[0])), self._names.view())


def _names_of_columns(names: Sequence[str]) -> pd.Index:
    """The names as pandas keeps them in a frame, but as Python strings: Arrow, where it is installed, takes longer for
    a few names. Views of this index share its hash table."""
    index = pd.Index(names)
    return index.astype(pd.StringDtype("python", na_value=np.nan)) if index.dtype == "str" else index


def native_terms(pipeline: Any, _: Signature, path: Sequence[str | int], step: str, **given: Any) -> Terms:
    """The terms of a column, by the analyzer of a vectorizer that has functions of the user's own."""
    analyze = step_at(pipeline, path).build_analyzer()
    return Terms(_hashable(analyze) if given.get("hashed") else analyze, **given)


def _hashable(analyze: Callable[[str], Any]) -> Callable[[str], list[Any]]:
    """The terms of a text. Like FeatureHasher, it raises ValueError for terms that are no strings."""

    def terms(text: str) -> list[Any]:
        found = analyze(text)
        own = list(found)
        if isinstance(found, str) or not all(isinstance(term, str | bytes) for term in own):
            raise ValueError("The model cannot hash terms that are no strings.")
        return own

    return terms


def followed(pipeline: Any, link: Link) -> Any:
    """A link as a function."""
    if "select" in link:
        return lambda X: selected(X, link["select"])
    return getattr(step_at(pipeline, link["path"]), link["method"])


def step_at(pipeline: Any, path: Sequence[str | int]) -> Any:
    """The step at a path."""
    found = pipeline
    for part in path:
        found = getattr(found, part) if isinstance(part, str) else found[part]
    return found


def selected(X: Any, chosen: Any) -> Any:
    """Columns of a frame or an array."""
    return X.iloc[:, chosen] if hasattr(X, "iloc") else X[:, chosen]


def bare(step: Any) -> Any:
    """A step that takes a plain array without a warning: a shallow copy of it, and of the estimators inside, without
    the names of the columns. A step that has no names is not copied."""
    if isinstance(step, list | tuple):
        inner = [bare(each) for each in step]
        return step if all(new is old for new, old in zip(inner, step, strict=True)) else type(step)(inner)
    if not isinstance(step, BaseEstimator):
        return step
    changed = {name: bare(value) for name, value in vars(step).items()}
    named = changed.pop("feature_names_in_", None) is not None
    if not named and all(changed[name] is vars(step)[name] for name in changed):
        return step
    without = copy.copy(step)
    without.__dict__ = changed
    return without


def dense(X: Any) -> Array:
    """The output of a step (array, sparse matrix or frame) as a block of floats. Raises ValueError or TypeError for
    values that are no numbers."""
    if hasattr(X, "to_numpy"):
        X = X.to_numpy(dtype=np.float64, na_value=np.nan)
    found = np.asarray(X.toarray() if hasattr(X, "toarray") else X)
    if found.dtype not in (np.float32, np.float64):
        found = found.astype(np.float64)
    return found.reshape(len(found), -1)
