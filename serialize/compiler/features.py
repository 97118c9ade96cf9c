"""What a fitted pipeline makes of an observation's columns, feature by feature: a number with a few operations on
it, or a value that is one of finitely many as far as the pipeline can tell."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from serialize.signature import Column, Scalar, Signature

_WITHIN_SINGLE = {"int8", "int16", "uint8", "uint16"}


class NoCompiledForm(Exception):
    """A step that cannot be compiled; the message is a sentence that names it."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One column of a matrix on its way through the pipeline, made of one column of the observation.

    A number carries the `operations` that were done to it, each with its operand. A `coded` feature is a function of
    which value of the column it is, of those told `apart` (any other is unseen): what the pipeline makes of each is
    looked up. `single` is a number that is calculated in single precision."""

    column: Column
    operations: tuple[tuple[str, float], ...] = ()
    coded: bool = False
    apart: frozenset[Scalar] = field(default=frozenset())
    single: bool = False

    def then(self, operation: str, operand: float = 0.0) -> "Feature":
        """The feature with one more operation; for a coded one the lookup covers it."""
        if self.coded:
            return self
        rounded = (("single", 0.0),) if self.single else ()
        return replace(self, operations=(*self.operations, (operation, float(operand)), *rounded))

    def told_apart(self, values: Sequence[Any]) -> "Feature":
        """The feature of which a step knows these values, nulls among them or not."""
        plain = [value.item() if isinstance(value, np.generic) else value for value in values]
        return replace(self, apart=self.apart.union(value for value in plain if not is_null(value)))

    def encoded(self, values: Sequence[Any]) -> "Feature":
        """The feature as an encoder of these values leaves it."""
        odd = [name for name, _ in self.operations if name != "fill"]
        if not self.coded and odd:
            raise NoCompiledForm(f"Column {self.column.name!r} is calculated with before it is encoded.")
        return replace(self.told_apart(values), coded=True, operations=())


def features_of(signature: Signature) -> list[Feature]:
    """The columns of an observation as features. Raises NoCompiledForm for dtypes whose precision is not kept."""
    dtypes = {column.dtype.lower() for column in signature}
    if "float16" in dtypes or ("float32" in dtypes and dtypes & _WITHIN_SINGLE):
        raise NoCompiledForm(
            "Columns of half precision, or of single precision and short integers, have no compiled form."
        )
    return [_feature(column) for column in signature]


def _feature(column: Column) -> Feature:
    if column.kind in ("boolean", "category"):
        return Feature(column, coded=True, apart=frozenset(column.categories or (False, True)))
    if column.dtype.lower() == "float32":
        return Feature(column, (("single", 0.0),), single=True)
    return Feature(column)


def of_scikit_learn(estimator: Any, forms: Mapping[str, Any]) -> Any:
    """What `forms` holds for the estimator's class, by name. Raises NoCompiledForm for another class, or for one of
    that name that is not scikit-learn's."""
    name = type(estimator).__name__
    if name not in forms or not type(estimator).__module__.startswith("sklearn."):
        raise NoCompiledForm(f"{name} has no compiled form.")
    return forms[name]


def is_null(value: Any) -> bool:
    """Whether a value is what some library says for none."""
    return value is None or type(value).__name__ == "NAType" or (isinstance(value, float) and math.isnan(value))


@dataclass(frozen=True, slots=True)
class Demands:
    """What an estimator does with a value that is no finite number, and whether it rounds to single precision."""

    refuses_null: bool
    refuses_infinity: bool
    single: bool


def demands_of(estimator: Any, *, single: bool = False) -> Demands:
    """The demands of an estimator of a matrix; `single` is one that rounds to single precision."""
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
