"""ONNX Runtime on one thread."""

import os
from typing import Any

# Without it, the import writes a device id to the home folder and later sends figures to the vendor.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # noqa: TID251 - it is read in C, at the import

import onnxruntime

_ERRORS_ONLY = 3


def session(content: bytes) -> Any:
    """A session of ONNX Runtime for a graph; it starts no thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _ERRORS_ONLY
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
