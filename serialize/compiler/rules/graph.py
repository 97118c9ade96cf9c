"""Builds an ONNX graph of trees."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

_OPSET, _TREE_OPSET, _IR_VERSION = 18, 5, 10
_TREES = "ai.onnx.ml"

Array = np.ndarray[Any, Any]


class Graph:
    """An ONNX graph that grows node by node. A method that adds a node returns the name of its output."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._inputs: list[Any] = []

    def input(self, name: str, rows: int | None, *, whole: bool = False, single: bool = False) -> None:
        """Adds an input tensor of shape (rows, any): doubles, 64-bit integers if `whole`, or floats if `single`."""
        kind = TensorProto.INT64 if whole else TensorProto.FLOAT if single else TensorProto.DOUBLE
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

    def to_bytes(self, outputs: str, width: int, metadata: Mapping[str, str], *, single: bool = False) -> bytes:
        """The model with the output tensor `outputs`, of shape (n, width), and texts as metadata. The outputs are
        doubles, or floats if `single`."""
        kind = TensorProto.FLOAT if single else TensorProto.DOUBLE
        declared = helper.make_tensor_value_info(outputs, kind, [None, width])
        graph = helper.make_graph(self._nodes, "pipeline", self._inputs, [declared], self._constants)
        versions = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_TREES, _TREE_OPSET)]
        model = helper.make_model(graph, opset_imports=versions, ir_version=_IR_VERSION)
        helper.set_model_props(model, dict(metadata))
        return bytes(model.SerializeToString(deterministic=True))

    def _node(self, operation: str, domain: str, inputs: tuple[str, ...], attributes: Mapping[str, Any]) -> str:
        name = f"n{len(self._nodes)}"
        self._nodes.append(helper.make_node(operation, list(inputs), [name], name=name, domain=domain, **attributes))
        return name
