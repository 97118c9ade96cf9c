"""The numbers of a value, and arithmetic on them. Tables are calculated once, when the program is made."""

from itertools import groupby
from typing import Any

import numpy as np

from serialize.compiler.builder import Builder
from serialize.compiler.runtime.native import dense
from serialize.compiler.runtime.operations import operation
from serialize.compiler.values import Array, Block, Coded, NoRule, Part, Parts, Terms, Value
from serialize.signature import Column

_MOST_CELLS = 20_000_000
_NUMERIC = ("integer", "number", "boolean")


def numbers(builder: Builder, value: Value) -> Parts:
    """A value as numbers. Raises NoRule for columns that are no numbers, and after steps that gave none."""
    if isinstance(value, Parts):
        return value
    if value.links or any(column.accepted not in _NUMERIC or column.levels for column in value.columns):
        raise NoRule("The columns are no numbers.")
    wanted = dense(value.reference)
    parts: list[Part] = []
    for rounding, columns in groupby(value.columns, lambda column: _rounding(column, str(wanted.dtype))):
        registers = [builder.column(column.name) for column in columns]
        register = builder.add("numbers", *registers, dtype=rounding)
        if rounding != str(wanted.dtype):
            register = builder.add("double", register)
        parts.append(Block(register, len(registers)))
    return Parts(tuple(parts), value.reference)


def _rounding(column: Column, dtype: str) -> str:
    """The precision to which the values of a column are rounded before steps get them in another dtype."""
    own = column.dtype.lower()
    return own if own in ("float16", "float32") else dtype


def calculated(builder: Builder, value: Parts, name: str, operand: Any = None, key: str = "operand") -> Parts:
    """Each number after an operation, with no operand, or one for each column. Tables are calculated at once."""
    parts: list[Part] = []
    start = 0
    for part in value.parts:
        if isinstance(part, Terms):
            parts.append(_of_terms(builder, part, name, operand, key, start))
            start += part.width
            continue
        own = {} if operand is None else {key: _own(operand, start, part.width, builder, part)}
        if isinstance(part, Coded):
            with np.errstate(all="ignore"):
                parts.append(Coded(part.register, operation(name, own, None, builder.model.signature)(part.table)))
        else:
            parts.append(Block(builder.add(name, part.register, **own), part.width))
        start += part.width
    return Parts(tuple(parts), None)


def _own(operand: Any, start: int, width: int, builder: Builder, part: Block | Coded) -> Array:
    """The operands of one part, in the precision of the part."""
    dtype = part.table.dtype if isinstance(part, Coded) else builder.values[part.register].dtype
    array = np.asarray(operand, dtype=dtype)
    return array if array.ndim == 0 else array[start : start + width]


def _of_terms(builder: Builder, part: Terms, name: str, operand: Any, key: str, start: int) -> Part:
    """Terms after an operation. They become a block if zeros change."""
    own = None if operand is None else np.asarray(operand, dtype=np.float64)
    own = own if own is None or own.ndim == 0 else own[start : start + part.width]
    given = {} if own is None else {key: own}
    with np.errstate(all="ignore"):
        zeros = operation(name, given, None, builder.model.signature)(np.zeros((1, part.width)))
    if (zeros != 0).any():
        (block,) = calculated(
            builder, builder.parts(builder.block(Parts((part,), None)).register), name, own, key
        ).parts
        return block
    if own is not None and own.ndim:
        spread = np.ones(part.known)
        spread[part.places] = own
        own = spread
    return Terms(builder.add("of_terms", part.register, function=name, key=key, operand=own), part.places, part.known)


def product(builder: Builder, value: Parts, weights: Array, intercept: Array | None = None) -> Parts:
    """The product with weights of shape (k, c), and an intercept of shape (c,). Tables are multiplied at once, and the
    intercept is added to one of them."""
    weights = np.asarray(weights, dtype=np.float64)
    terms: list[int] = []
    start = 0
    for part in value.parts:
        own = weights[start : start + part.width]
        start += part.width
        if isinstance(part, Coded):
            with np.errstate(all="ignore"):
                table = part.table @ own
            if intercept is not None:
                table, intercept = table + intercept, None
            terms.append(builder.add("take", part.register, table=table))
        elif isinstance(part, Terms):
            if part.known * own.shape[1] > _MOST_CELLS:
                raise NoRule("The weights of the terms are too many.")
            spread = np.zeros((part.known, own.shape[1]))
            spread[part.places] = own
            terms.append(builder.add("product_of_terms", part.register, weights=spread))
        else:
            terms.append(builder.add("matmul", part.register, weights=own))
    if start != len(weights) or not terms:
        raise NoRule("The weights are for another number of columns.")
    if len(terms) > 1:
        terms = [builder.add("add", *terms)]
    if intercept is not None:
        terms = [builder.add("plus", terms[0], operand=np.asarray(intercept, dtype=np.float64))]
    return builder.parts(terms[0])


def applied(builder: Builder, name: str, value: Parts, **parameters: Any) -> Parts:
    """A block after an operation on whole rows."""
    return builder.parts(builder.add(name, builder.block(value).register, **parameters))


def both(builder: Builder, proba: Parts) -> Parts:
    """The probabilities of two classes, from those of the second."""
    return applied(builder, "both", proba)
