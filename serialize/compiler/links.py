"""From an estimator's scores to its answers, in a graph: scores have shape (n, c), answers (n, n_classes) or (n, 1)."""

import numpy as np

from serialize.compiler.features import NoCompiledForm
from serialize.compiler.graph import Graph


def both(graph: Graph, proba: str, *, first: bool = False) -> str:
    """The probabilities of two classes, from that of the second, or of the first: (n, 1) to (n, 2)."""
    other = graph.add("Sub", graph.constant(1.0), proba)
    return graph.add("Concat", *((proba, other) if first else (other, proba)), axis=1)


def expit(graph: Graph, scores: str) -> str:
    """The logistic function, precise even where it is next to nothing."""
    power = graph.add("Exp", graph.add("Neg", graph.add("Abs", scores)))
    one = graph.constant(1.0)
    above = graph.add("Where", graph.add("Less", scores, graph.constant(0.0)), power, one)
    return graph.add("Div", above, graph.add("Add", one, power))


def normalized(graph: Graph, scores: str, classes: int) -> str:
    """Scores made to sum to one; where all are zero, the classes share it."""
    total = graph.add("ReduceSum", scores, graph.constant([1], np.int64), keepdims=1)
    none = graph.add("Equal", total, graph.constant(0.0))
    return graph.add("Where", none, graph.constant(1 / classes), graph.add("Div", scores, total))


def unlinked(graph: Graph, link: str, scores: str) -> str:
    """Values from scores under one of scikit-learn's links, by its class name."""
    if link == "IdentityLink":
        return scores
    if link == "LogLink":
        return graph.add("Exp", scores)
    raise NoCompiledForm(f"A model with a {link} has no compiled form.")


def activated(graph: Graph, activation: str, signal: str) -> str:
    """A layer's signal after one of scikit-learn's activation functions, by its name."""
    names = {"relu": "Relu", "tanh": "Tanh", "logistic": "Sigmoid", "softmax": "Softmax"}
    if activation == "identity":
        return signal
    if activation not in names:
        raise NoCompiledForm(f"The activation {activation!r} has no compiled form.")
    return graph.add(names[activation], signal)
