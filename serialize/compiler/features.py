"""The features that a fitted pipeline makes of an observation's columns. A feature is a number with some operations on
it, a value that the pipeline maps to one of finitely many results, or a term of a text."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from serialize.compiler.text_runtime import Analysis, Weighting
from serialize.signature import Column, Scalar, Signature

_WITHIN_SINGLE = {"int8", "int16", "uint8", "uint16"}


class NoCompiledForm(Exception):
    """A step cannot be compiled; the message is one sentence that names it."""


@dataclass(frozen=True, slots=True, eq=False)
class Words:
    """What a text vectorizer counts: the index of each of m terms, and how counts become values."""

    analysis: Analysis
    vocabulary: Mapping[str, int]
    weighting: Weighting


@dataclass(frozen=True, slots=True)
class Feature:
    """One column of a matrix in the pipeline, computed from one column of the observation.

    A number has `operations`, each with its operand; `single` means single precision. A `coded` feature is looked up
    by value: the pipeline distinguishes the values in `apart`, and any other value is unseen. The feature of a text
    vectorizer is the term with the index `term` of its `words`; its operations multiply or divide it."""

    column: Column
    operations: tuple[tuple[str, float], ...] = ()
    coded: bool = False
    apart: frozenset[Scalar] = field(default=frozenset())
    single: bool = False
    words: Words | None = None
    term: int = -1

    @property
    def is_number(self) -> bool:
        """Whether the feature is calculated from a number."""
        return not self.coded and self.words is None

    def then(self, operation: str, operand: float = 0.0) -> "Feature":
        """The feature after one more operation. For a coded feature, the table includes it already."""
        if self.coded:
            return self
        if self.words and operation not in ("Mul", "Div"):
            raise NoCompiledForm(f"The words of column {self.column.name!r} are calculated with, or replaced.")
        rounded = (("single", 0.0),) if self.single else ()
        return replace(self, operations=(*self.operations, (operation, float(operand)), *rounded))

    def told_apart(self, values: Sequence[Any]) -> "Feature":
        """The feature after a step that distinguishes these values; nulls among them are ignored."""
        plain = [value.item() if isinstance(value, np.generic) else value for value in values]
        return replace(self, apart=self.apart.union(value for value in plain if not is_null(value)))

    def encoded(self, values: Sequence[Any]) -> "Feature":
        """The feature after an encoder of these values."""
        odd = self.words or [name for name, _ in self.operations if name != "fill"]
        if not self.coded and odd:
            raise NoCompiledForm(f"Column {self.column.name!r} is calculated with before it is encoded.")
        return replace(self.told_apart(values), coded=True, operations=())


def features_of(signature: Signature) -> list[Feature]:
    """The columns of an observation as features. Raises NoCompiledForm for datetimes, and for dtypes that
    would lose precision."""
    dtypes = {column.dtype.lower() for column in signature}
    if "float16" in dtypes or ("float32" in dtypes and dtypes & _WITHIN_SINGLE):
        raise NoCompiledForm(
            "Columns of half precision, or of single precision and short integers, have no compiled form."
        )
    for column in signature:
        if column.kind == "datetime":
            raise NoCompiledForm(f"Column {column.name!r} holds datetimes, which have no compiled form.")
    return [_feature(column) for column in signature]


def _feature(column: Column) -> Feature:
    if column.accepted in ("boolean", "category"):
        return Feature(column, coded=True, apart=frozenset(column.categories or (False, True)))
    if column.dtype.lower() == "float32":
        return Feature(column, (("single", 0.0),), single=True)
    return Feature(column)


def of_scikit_learn(estimator: Any, forms: Mapping[str, Any]) -> Any:
    """The entry of `forms` for the name of the estimator's class. Raises NoCompiledForm if there is none, or if the
    class is not from scikit-learn."""
    name = type(estimator).__name__
    if name not in forms or not type(estimator).__module__.startswith("sklearn."):
        raise NoCompiledForm(f"{name} has no compiled form.")
    return forms[name]


def is_null(value: Any) -> bool:
    """Whether a value is a missing value of some library: None, NaN or pandas.NA."""
    return value is None or type(value).__name__ == "NAType" or (isinstance(value, float) and math.isnan(value))


@dataclass(frozen=True, slots=True)
class Demands:
    """Whether an estimator refuses nulls and infinity, and whether it rounds its input to single precision."""

    refuses_null: bool
    refuses_infinity: bool
    single: bool


def demands_of(estimator: Any, *, single: bool = False) -> Demands:
    """The demands of a fitted estimator, found by trying; `single` if it rounds to single precision."""
    return Demands(_refuses(estimator, np.nan), _refuses(estimator, np.inf), single)


def _refuses(estimator: Any, value: float) -> bool:
    X = np.zeros((1, estimator.n_features_in_))
    X[0, 0] = value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            estimator.predict(X)
        except ValueError:
            return True
    return False
