"""What estimators refuse, and how they round their input: found by trying."""

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from serialize.compiler.builder import Builder
from serialize.compiler.values import Block, Coded, Part, Parts

# They give null or infinity only for null or infinity: the numbers of an observation are far from the largest ones.
_HARMLESS = ("columns", "join", "single", "double", "plus", "minus", "times", "divided", "at_least", "at_most", "add")


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


def refusing(builder: Builder, step: Any, value: Parts) -> Parts:
    """The value as the input of a rule for a fitted step: null and infinity, where a step before may give them, are
    refused if the step refuses them."""
    held = [_held(builder, part) for part in value.parts]
    null = any(each[0] for each in held) and _refuses(step, np.nan)
    infinite = any(each[1] for each in held) and _refuses(step, np.inf)
    parts: list[Part] = []
    for part, (has_null, has_infinity) in zip(value.parts, held, strict=True):
        if not ((has_null and null) or (has_infinity and infinite)):
            parts.append(part)
            continue
        register = builder.block(Parts((part,), None)).register
        parts.append(Block(builder.add("refuse", register, null=null, infinite=infinite), part.width))
    return Parts(tuple(parts), value.reference)


def _held(builder: Builder, part: Part) -> tuple[bool, bool]:
    """Whether a part may hold null, and infinity."""
    if isinstance(part, Coded):
        return bool(np.isnan(part.table).any()), bool(np.isinf(part.table).any())
    return _held_by(builder, part.register) if isinstance(part, Block) else (False, False)


def _held_by(builder: Builder, register: int) -> tuple[bool, bool]:
    instruction = builder.instruction(register)
    if instruction is None:
        return builder.model.signature.columns[register].nullable, False
    given = instruction.parameters
    if instruction.operation == "take":
        return bool(np.isnan(given["table"]).any()), bool(np.isinf(given["table"]).any())
    before = [_held_by(builder, each) for each in instruction.inputs]
    null, infinite = any(each[0] for each in before), any(each[1] for each in before)
    match instruction.operation:
        case "numbers":
            return null, False
        case "fill" | "is_null":
            return False, infinite and instruction.operation == "fill"
        case "refuse":
            return null and not given["null"], infinite and not given["infinite"]
    return (null, infinite) if instruction.operation in _HARMLESS else (True, True)


def _refuses(step: Any, value: float) -> bool:
    if not hasattr(step, "n_features_in_"):
        return False
    X = np.zeros((1, step.n_features_in_))
    X[0, 0] = value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            step.predict(X) if hasattr(step, "predict") else step.transform(X)
        except ValueError:
            return True
    return False
