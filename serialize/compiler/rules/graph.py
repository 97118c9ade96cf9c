"""An ONNX graph of one node, which adds up the leaves of trees."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

_DOMAIN, _OPSET, _IR_VERSION = "ai.onnx.ml", 5, 10
_SUM = 1


def tree_graph(attributes: Mapping[str, Any], targets: int, *, single: bool) -> bytes:
    """A TreeEnsemble with these attributes, from an input X of shape (n, k) to the sums of shape (n, targets). Both are
    doubles, or floats if `single`."""
    kind = TensorProto.FLOAT if single else TensorProto.DOUBLE
    given: dict[str, Any] = {
        name: numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value
        for name, value in attributes.items()
    }
    node = helper.make_node("TreeEnsemble", ["X"], ["sums"], domain=_DOMAIN, aggregate_function=_SUM, **given)
    read = helper.make_tensor_value_info("X", kind, [None, None])
    made = helper.make_tensor_value_info("sums", kind, [None, targets])
    graph = helper.make_graph([node], "trees", [read], [made])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid(_DOMAIN, _OPSET)], ir_version=_IR_VERSION)
    return bytes(model.SerializeToString(deterministic=True))
