"""The input matrix of an estimator in the ONNX graph: numbers are calculated in double precision, the features of each
coded value are looked up in tables that the pipeline's own steps filled, and the terms of texts are summed outside."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from serialize.compiler.features import Demands, Feature, NoCompiledForm
from serialize.compiler.graph import Array, Graph
from serialize.compiler.runtime import CODES, NUMBERS, TEXTS
from serialize.compiler.tables import BuildContext, Run, Table, tables_of
from serialize.compiler.text import Terms, TextSums, terms_of

_MOST_CELLS = 2_000_000


@dataclass(frozen=True, slots=True)
class Matrix:
    """n rows of `width` features: `numbers`, of shape (k, n), holds the features at `places`; `tables` hold the coded
    features, and `terms` are those of texts, which are added up in `sums`. `refusal`, of shape (n, 1), is NaN for a row
    that the estimator refuses and 0 for any other row."""

    graph: Graph
    width: int
    numbers: str | None
    places: list[int]
    tables: list[Table]
    terms: Terms | None
    sums: TextSums
    refusal: str | None
    single: bool

    def times(self, weights: Array, intercept: Array) -> str:
        """The product with weights of shape (width, c) plus the intercept of shape (c,): shape (n, c), rounded
        to single precision (so that it overflows as there) if all features are."""
        graph, parts = self.graph, []
        if self.tables:
            products = [table.features @ weights[table.places] for table in self.tables]
            starts = np.cumsum([0, *map(len, products[:-1])])[:, None]
            rows = graph.add("Gather", CODES, graph.constant([table.codes for table in self.tables], np.int64))
            stacked = graph.constant(np.vstack(products))
            found = graph.add("Gather", stacked, graph.add("Add", rows, graph.constant(starts, np.int64)))
            parts.append(graph.add("ReduceSum", found, graph.constant([0], np.int64), keepdims=0))
        if self.numbers:
            used = graph.constant(weights[self.places])
            parts.append(graph.add("Gemm", self.numbers, used, graph.constant(intercept), transA=1))
        else:
            parts.append(graph.constant(intercept))
        if self.terms:
            sums = self.sums.add(self.terms, weights[self.terms.places])
            added = graph.add("Gather", TEXTS, graph.constant(sums, np.int64))
            parts.append(graph.add("Transpose", added, perm=[1, 0]))
        product = reduce(lambda left, right: graph.add("Add", left, right), parts)
        return graph.single(product) if self.single else product

    def joined(self) -> tuple[str, Array]:
        """The matrix of shape (n, width), and for each feature the column that holds it. Raises NoCompiledForm if the
        tables take more than 16 MB, and for terms of a text."""
        graph = self.graph
        if self.terms:
            raise NoCompiledForm(f"The words of column {self.terms.column!r} have no compiled form for trees.")
        if sum(table.features.size for table in self.tables) > _MOST_CELLS:
            raise NoCompiledForm("The categories are too many to be tabulated for trees.")
        parts = [graph.add("Transpose", self.numbers, perm=[1, 0])] if self.numbers else []
        for table in self.tables:
            codes = graph.add("Gather", CODES, graph.constant(table.codes, np.int64))
            parts.append(graph.add("Gather", graph.constant(table.features), codes))
        order = np.concatenate([self.places, *(table.places for table in self.tables)]).astype(int)
        return parts[0] if len(parts) == 1 else graph.add("Concat", *parts, axis=1), np.argsort(order)

    def refusing(self, outputs: str) -> str:
        """The outputs, of shape (n, c), NaN where the estimator refuses the row."""
        return self.graph.add("Add", outputs, self.refusal) if self.refusal else outputs


@dataclass(frozen=True, slots=True)
class EstimatorInput:
    """The input of an estimator: its features, and `run`, which computes them with the pipeline's own steps."""

    features: list[Feature]
    run: Run
    context: BuildContext

    def matrix(self, demands: Demands) -> Matrix:
        """The features as a matrix in the graph. Raises NoCompiledForm for text that no step encodes."""
        features, context = self.features, self.context
        raw = [feature for feature in features if feature.column.accepted == "text" and feature.is_number]
        if raw:
            raise NoCompiledForm(f"Column {raw[0].column.name!r} is text that no step encodes.")
        numbers, places = _numbers(features, demands, context)
        refusal = _refusal(numbers, features, demands, context.graph) if numbers else None
        tables = tables_of(features, self.run, demands, context)
        single = all(feature.single for feature in features)
        terms = terms_of(features)
        return Matrix(context.graph, len(features), numbers, places, tables, terms, context.texts, refusal, single)


def _numbers(features: Sequence[Feature], demands: Demands, context: BuildContext) -> tuple[str | None, list[int]]:
    """The numeric features, grouped by their operations, and their indices in that order."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for place, feature in enumerate(features):
        if feature.is_number:
            groups.setdefault(tuple(name for name, _ in feature.operations), []).append(place)
    if not groups:
        return None, []
    blocks = [_block([features[place] for place in places], context) for places in groups.values()]
    joined = blocks[0] if len(blocks) == 1 else context.graph.add("Concat", *blocks, axis=0)
    rounded = context.graph.single(joined) if demands.single else joined
    return rounded, [place for places in groups.values() for place in places]


def _block(features: Sequence[Feature], context: BuildContext) -> str:
    graph = context.graph
    rows = [context.inputs.number(feature.column.name) for feature in features]
    block = graph.add("Gather", NUMBERS, graph.constant(rows, np.int64))
    for number, (name, _) in enumerate(features[0].operations):
        operands = np.array([[feature.operations[number][1]] for feature in features])
        block = _calculated(graph, name, block, operands)
    return block


def _calculated(graph: Graph, name: str, block: str, operands: Array) -> str:
    match name:
        case "fill":
            return graph.add("Where", graph.add("IsNaN", block), graph.constant(operands), block)
        case "is_null":
            return graph.double(graph.add("IsNaN", block))
        case "single":
            return graph.single(block)
        case "Log" | "Exp" | "Sqrt" | "Abs":
            return graph.add(name, block)
    return graph.add(name, block, graph.constant(operands))


def _refusal(numbers: str, features: Sequence[Feature], demands: Demands, graph: Graph) -> str | None:
    """The sum over each row of zero times every number: NaN if one of them is NaN or infinite, otherwise 0."""
    done = [{name for name, _ in feature.operations} for feature in features if feature.is_number]
    calculated = any(names - {"fill", "is_null"} for names in done)
    empty = any("fill" not in names and "is_null" not in names for names in done)
    infinite = demands.refuses_infinity and (demands.single or calculated)
    null = demands.refuses_null and (calculated or empty)
    if not infinite and not null:
        return None
    if not demands.refuses_null:
        numbers = graph.add("Where", graph.add("IsNaN", numbers), graph.constant(0.0), numbers)
    nothing = graph.add("Mul", numbers, graph.constant(0.0))
    total = graph.add("ReduceSum", nothing, graph.constant([0], np.int64), keepdims=1)
    return graph.add("Transpose", total, perm=[1, 0])
