"""Functions in single precision that give what XGBoost gives, to the last bit: they call the C library that XGBoost
calls. Arrays have dtype float32."""

import ctypes
from functools import cache
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
_LARGEST = np.float32(88.7)


def exp_single(X: Array) -> Array:
    """The exponential function."""
    return _each("expf", X)


def log_single(X: Array) -> Array:
    """The natural logarithm."""
    return _each("logf", X)


def expit_single(X: Array) -> Array:
    """The logistic function; below -88.7 it is constant."""
    return np.float32(1.0) / (exp_single(np.minimum(-X, _LARGEST)) + np.float32(1.0))


def softmax_single(X: Array) -> Array:
    """The softmax of each row; its sum is in double precision."""
    power = exp_single(X - X.max(axis=1, keepdims=True))
    total: Array = power.sum(axis=1, keepdims=True, dtype=np.float64)
    return power / total.astype(np.float32)


def _each(name: str, X: Array) -> Array:
    found: Array = _function(name)(X).astype(np.float32)
    return found


@cache
def _function(name: str) -> Any:
    function = getattr(ctypes.CDLL(None), name)
    function.argtypes, function.restype = [ctypes.c_float], ctypes.c_float
    return np.frompyfunc(function, 1, 1)
