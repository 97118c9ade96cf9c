"""Builds an ONNX graph in double precision, and the functions that several estimators need in it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from serialize.compiler.features import NoCompiledForm

_OPSET, _TREE_OPSET, _IR_VERSION = 18, 5, 10
_TREES = "ai.onnx.ml"

Array = np.ndarray[Any, Any]


class Graph:
    """An ONNX graph that grows node by node. A method that adds a node returns the name of its output."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._inputs: list[Any] = []

    def input(self, name: str, rows: int, *, whole: bool = False) -> None:
        """Adds an input tensor of shape (rows, n): doubles, or 64-bit integers if `whole`."""
        kind = TensorProto.INT64 if whole else TensorProto.DOUBLE
        self._inputs.append(helper.make_tensor_value_info(name, kind, [rows, None]))

    def constant(self, value: Any, dtype: Any = np.float64) -> str:
        """A constant tensor."""
        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.array(value, dtype=dtype, order="C"), name))
        return name

    def add(self, operation: str, *inputs: str, **attributes: Any) -> str:
        """A node with a standard operator."""
        return self._node(operation, "", inputs, attributes)

    def double(self, name: str) -> str:
        """A tensor of any type, cast to doubles."""
        return self.add("Cast", name, to=TensorProto.DOUBLE)

    def single(self, name: str) -> str:
        """Doubles rounded to single precision; larger values become infinite."""
        return self.double(self.add("Cast", name, to=TensorProto.FLOAT))

    def trees(self, X: str, attributes: Mapping[str, Any]) -> str:
        """The summed leaves of trees for a matrix of shape (n, k); attributes that are arrays become tensors."""
        tensors = {
            key: numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value
            for key, value in attributes.items()
        }
        return self._node("TreeEnsemble", _TREES, (X,), {"aggregate_function": 1, "post_transform": 0, **tensors})

    def to_bytes(self, outputs: str, width: int, metadata: Mapping[str, str]) -> bytes:
        """The model with the output tensor `outputs`, of shape (n, width), and texts as metadata."""
        declared = helper.make_tensor_value_info(outputs, TensorProto.DOUBLE, [None, width])
        graph = helper.make_graph(self._nodes, "pipeline", self._inputs, [declared], self._constants)
        versions = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_TREES, _TREE_OPSET)]
        model = helper.make_model(graph, opset_imports=versions, ir_version=_IR_VERSION)
        helper.set_model_props(model, dict(metadata))
        return bytes(model.SerializeToString(deterministic=True))

    def _node(self, operation: str, domain: str, inputs: tuple[str, ...], attributes: Mapping[str, Any]) -> str:
        name = f"n{len(self._nodes)}"
        self._nodes.append(helper.make_node(operation, list(inputs), [name], name=name, domain=domain, **attributes))
        return name


def both(graph: Graph, proba: str, *, first: bool = False) -> str:
    """The probabilities of two classes from that of the second, or of the `first`: shape (n, 1) to (n, 2)."""
    other = graph.add("Sub", graph.constant(1.0), proba)
    return graph.add("Concat", *((proba, other) if first else (other, proba)), axis=1)


def expit(graph: Graph, scores: str) -> str:
    """The logistic function, accurate for very small values too."""
    power = graph.add("Exp", graph.add("Neg", graph.add("Abs", scores)))
    one = graph.constant(1.0)
    above = graph.add("Where", graph.add("Less", scores, graph.constant(0.0)), power, one)
    return graph.add("Div", above, graph.add("Add", one, power))


def normalized(graph: Graph, scores: str, classes: int) -> str:
    """Scores scaled to sum to one in each row; a row of zeros gets equal shares."""
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
