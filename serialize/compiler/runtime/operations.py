"""What the instructions of a program do, by their names. A block is an array of shape (n, k) for n observations; all
functions keep its dtype as numpy does. They run on one thread."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from serialize.compiler.runtime.inputs import Codes, coded, matrix
from serialize.compiler.runtime.native import Native, NativeRaw, native_terms
from serialize.compiler.runtime.session import session
from serialize.compiler.runtime.single import exp_single, expit_single, softmax_single
from serialize.compiler.runtime.texts import TermRows, Terms, TermsAsBlock, analyzer_of, product_of_terms, weighted
from serialize.signature import Scalar, Signature

Array = np.ndarray[Any, Any]
Operation = Callable[..., Any]
_TINY = np.float64(np.float32(1e-35))


def operation(name: str, parameters: Mapping[str, Any], pipeline: Any, signature: Signature) -> Operation:
    """A function of the registers of an instruction. Raises KeyError or TypeError for one that does not exist."""
    if name in _WITH_PIPELINE:
        return _WITH_PIPELINE[name](pipeline, signature, **parameters)
    if name in _MADE:
        return _MADE[name](**parameters)
    function = _FUNCTIONS[name]
    return partial(function, **parameters) if parameters else function


class _CodesOf:
    """The codes of the n values of a column, of shape (n,)."""

    def __init__(self, known: Sequence[tuple[Scalar, int]], refused: Sequence[Scalar], unseen: int | None) -> None:
        self._code = Codes(dict(known), refused, unseen).__getitem__

    def __call__(self, column: Sequence[Scalar]) -> Array:
        found: Array = np.asarray(coded(self._code, column), dtype=np.int64)
        return found


class _Trees:
    """The sums of the leaves of trees, of shape (n, targets)."""

    def __init__(self, content: bytes, single: bool = False) -> None:
        self._session = session(content)
        self._names = [self._session.get_outputs()[0].name]
        self._dtype = np.float32 if single else np.float64

    def __call__(self, X: Array) -> Array:
        found: Array = self._session.run(self._names, {"X": np.ascontiguousarray(X, dtype=self._dtype)})[0]
        return found


def _numbers(*columns: Sequence[Scalar], dtype: str) -> Array:
    """The values of k columns of numbers as a block, NaN for null."""
    return matrix(columns, np.dtype(dtype).type).T


def _objects(*columns: Sequence[Scalar]) -> Array:
    """The values of k columns as an array of objects, of shape (n, k)."""
    found: Array = np.empty((len(columns[0]), len(columns)), dtype=object)
    for place, column in enumerate(columns):
        found[:, place] = column
    return found


def _constant(column: Sequence[Scalar], *, row: Array) -> Array:
    return np.repeat(row[None, :], len(column), axis=0)


def _take(codes: Array, *, table: Array) -> Array:
    """The row of a table of shape (m, k) for each code."""
    return table.take(codes, axis=0)


def _join(*blocks: Array) -> Array:
    return np.concatenate(blocks, axis=1)


def _fill(X: Array, *, values: Array) -> Array:
    """The block with values of shape (k,) in place of NaN."""
    return np.where(np.isnan(X), values, X)


def _refuse(X: Array, *, null: bool, infinite: bool) -> Array:
    """The same block. Raises ValueError if it holds NaN or infinity that the pipeline refuses."""
    if not np.isfinite(X).all():
        if null and np.isnan(X).any():
            raise ValueError("The model cannot score null.")
        if infinite and np.isinf(X).any():
            raise ValueError("The model cannot score numbers as large.")
    return X


def _single(X: Array) -> Array:
    """The block rounded to single precision."""
    with np.errstate(over="ignore"):
        return X.astype(np.float32)


def _tiny_is_null(X: Array, *, places: Sequence[int]) -> Array:
    """The block with NaN for the zeros of some columns, as LightGBM tells a zero."""
    found = X.astype(np.float64)
    found[:, places] = np.where(np.abs(found[:, places]) <= _TINY, np.nan, found[:, places])
    return found


def _matmul(X: Array, *, weights: Array) -> Array:
    """The product with weights of shape (k, c)."""
    return X @ weights


def _add(*blocks: Array) -> Array:
    total = blocks[0]
    for block in blocks[1:]:
        total = total + block
    return total


def _at_least(X: Array, *, operand: Array) -> Array:
    return np.maximum(X, operand)


def _at_most(X: Array, *, operand: Array) -> Array:
    return np.minimum(X, operand)


def _expit(X: Array) -> Array:
    """The logistic function, accurate for very small values too."""
    power = np.exp(-np.abs(X))
    return np.where(X < 0, power, 1.0) / (1.0 + power)


def _softmax(X: Array) -> Array:
    power = np.exp(X - X.max(axis=1, keepdims=True))
    shares: Array = power / power.sum(axis=1, keepdims=True)
    return shares


def _interpolate(X: Array, *, x: Array, y: Array) -> Array:
    """A line through points, constant beyond them."""
    return np.interp(X, x, y)


def _gaussians(X: Array, *, mean: Array, variance: Array, constant: Array) -> Array:
    """The logarithms of c normal densities with means and variances of shape (c, k), plus a constant for each."""
    apart = X[:, None, :] - mean
    likelihoods: Array = constant - 0.5 * (apart * apart / variance).sum(axis=2)
    return likelihoods


def _both(proba: Array, *, first: bool = False) -> Array:
    """The probabilities of two classes, from that of the second, or of the first: shape (n, 1) to (n, 2)."""
    other = 1.0 - proba
    return np.concatenate((proba, other) if first else (other, proba), axis=1)


def _normalized(X: Array) -> Array:
    """Scores scaled to sum to one in each row; a row of zeros gets equal shares."""
    total = X.sum(axis=1, keepdims=True)
    return np.where(total == 0, 1 / X.shape[1], X / np.where(total == 0, 1.0, total))


def _weighted_median(X: Array, *, weights: Array) -> Array:
    """The weighted median of each row, of shape (n, 1): the first value up to which lies half of the weight."""
    order = np.argsort(X, axis=1)
    reached = np.cumsum(weights[order], axis=1)
    place = (reached >= 0.5 * reached[:, -1:]).argmax(axis=1)[:, None]
    return np.take_along_axis(X, np.take_along_axis(order, place, axis=1), axis=1)


def _unit(X: Array, *, norm: str) -> Array:
    """Rows divided by their norm: l1, l2 or max; a row of zeros stays."""
    size = np.abs(X)
    length = {"l1": size.sum(axis=1), "l2": np.sqrt((X * X).sum(axis=1)), "max": size.max(axis=1)}[norm]
    return X / np.where(length == 0, 1.0, length)[:, None]


def _hash_counts(*columns: Sequence[Any], method: str, width: int, nulls: Sequence[str | None]) -> Array:
    """How many of the values of k columns have each hash value, of shape (n, width). `nulls` has the text of a null in
    each column, or None if it is not counted."""
    digest = getattr(hashlib, method)
    found = np.zeros((len(columns[0]), width))
    for column, null in zip(columns, nulls, strict=True):
        for row, value in enumerate(column):
            text = null if value is None else value
            if text is not None:
                found[row, int.from_bytes(digest(text.encode()).digest(), "big") % width] += 1
    return found


def _products(X: Array, *, first: Array, second: Array) -> Array:
    """Products of two columns each of the block and a column of ones after it."""
    ones = np.concatenate((X, np.ones((len(X), 1), X.dtype)), axis=1)
    found: Array = ones[:, first] * ones[:, second]
    return found


def _bins(X: Array, *, edges: Sequence[Array]) -> Array:
    """The number of the interval of each value, by the inner edges of each column."""
    found = [np.searchsorted(inner, X[:, place], side="right") for place, inner in enumerate(edges)]
    return np.stack(found, axis=1).astype(np.float64)


def _yeo_johnson(X: Array, *, lambdas: Array) -> Array:
    """The power transform of Yeo and Johnson (2000), with one parameter for each column."""
    positive, size = X >= 0, np.log1p(np.abs(X))
    power = np.where(positive, lambdas, 2.0 - lambdas)
    zero = np.abs(power) < np.finfo(np.float64).eps
    found = np.where(zero, size, np.expm1(size * power) / np.where(zero, 1.0, power))
    return np.where(np.isnan(X), X, np.where(positive, found, -found))


def _of_terms(terms: TermRows, *, function: str, key: str, operand: Array | None) -> TermRows:
    """The terms after an operation that leaves zeros alone, with one operand for each known term, one, or none."""
    if operand is None:
        return terms._replace(values=_FUNCTIONS[function](terms.values))
    own = operand[terms.places] if operand.ndim else operand
    return terms._replace(values=_FUNCTIONS[function](terms.values, **{key: own}))


_FUNCTIONS: dict[str, Operation] = {
    "numbers": _numbers,
    "objects": _objects,
    "constant": _constant,
    "take": _take,
    "columns": lambda X, places: X[:, places],
    "join": _join,
    "fill": _fill,
    "is_null": lambda X: np.isnan(X).astype(np.float64),
    "refuse": _refuse,
    "single": _single,
    "double": lambda X: X.astype(np.float64),
    "add": _add,
    "plus": lambda X, operand: X + operand,
    "minus": lambda X, operand: X - operand,
    "times": lambda X, operand: X * operand,
    "divided": lambda X, operand: X / operand,
    "at_least": _at_least,
    "at_most": _at_most,
    "above": lambda X, operand: (operand < X).astype(X.dtype),
    "matmul": _matmul,
    "log1p": np.log1p,
    "log": np.log,
    "log10": np.log10,
    "log2": np.log2,
    "exp": np.exp,
    "expm1": np.expm1,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "square": np.square,
    "tanh": np.tanh,
    "relu": lambda X: np.maximum(X, 0.0),
    "expit": _expit,
    "softmax": _softmax,
    "gaussians": _gaussians,
    "both": _both,
    "normalized": _normalized,
    "unit": _unit,
    "products": _products,
    "hash_counts": _hash_counts,
    "bins": _bins,
    "bin_codes": lambda bins, place: bins[:, place].astype(np.int64),
    "yeo_johnson": _yeo_johnson,
    "equal_is_null": lambda X, number: np.where(number == X, np.nan, X),
    "tiny_is_null": _tiny_is_null,
    "weighted_median": _weighted_median,
    "exp_single": exp_single,
    "expit_single": expit_single,
    "softmax_single": softmax_single,
    "interpolate": _interpolate,
    "weighted": weighted,
    "of_terms": _of_terms,
    "product_of_terms": product_of_terms,
}
_MADE: dict[str, Callable[..., Operation]] = {
    "codes": _CodesOf,
    "trees": _Trees,
    "terms": lambda analyzer, **given: Terms(analyzer_of(analyzer), **given),
    "terms_as_block": TermsAsBlock,
}
_WITH_PIPELINE: dict[str, Callable[..., Operation]] = {
    "native": Native,
    "native_raw": NativeRaw,
    "native_terms": native_terms,
}
UFUNCS: Mapping[Any, str] = {
    getattr(np, name): name for name in ("log1p", "log", "log10", "log2", "exp", "expm1", "sqrt", "abs", "square")
}
