"""Frames of every dtype, for property tests."""

import json
import zoneinfo
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from serialize.declarations import Declarations
from serialize.frame import as_array, as_table, observations
from serialize.infer_signature import infer_signature
from serialize.signature import Signature


def learned(X: Any, columns: list[str] | None = None) -> tuple[Signature, list[dict[str, Any]]]:
    """The signature of training data, and its rows as they come back from JSON."""
    container, table = as_table(X, columns)
    dtype = str(as_array(X).dtype) if container == "array" else None
    return infer_signature(container, table, dtype, Declarations()), json.loads(json.dumps(observations(table)))


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
VALUES: dict[str, tuple[st.SearchStrategy[Any], bool]] = {
    "int64": (st.integers(-(2**63), 2**63 - 1), False),
    "Int64": (st.integers(-(2**63), 2**63 - 1), True),
    "uint8": (st.integers(0, 255), False),
    "float64": (NUMBER, True),
    "float32": (st.floats(width=32, allow_nan=False, allow_infinity=False), True),
    "Float64": (NUMBER, True),
    "bool": (st.booleans(), False),
    "boolean": (st.booleans(), True),
    "str": (TEXT, True),
    "string": (TEXT, True),
    "category": (TEXT, True),
}
ZONE = zoneinfo.ZoneInfo("America/New_York")
DATETIME = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 28))
VALUES |= {
    f"datetime64[{unit}]": (DATETIME.map(lambda at: at.replace(microsecond=0)), True) for unit in ("s", "ms", "us")
}
VALUES |= {
    f"datetime64[{unit}, {ZONE}]": (DATETIME.map(lambda at: at.replace(microsecond=0, tzinfo=UTC)), True)
    for unit in ("s", "ms", "us")
}
NANOSECONDS = st.integers(-(2**63) + 10**15, 2**63 - 10**15)
VALUES |= {"datetime64[ns]": (NANOSECONDS.map(pd.Timestamp), True)}
VALUES |= {f"datetime64[ns, {ZONE}]": (NANOSECONDS.map(lambda at: pd.Timestamp(at, tz=UTC)), True)}
OBJECTS = [
    st.dates(),
    DATETIME,
    DATETIME.map(lambda at: at.replace(tzinfo=UTC).astimezone(ZONE)),
    TEXT,
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    NUMBER,
]


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    rows = draw(st.integers(1, 6))
    columns = {}
    for name in draw(st.lists(TEXT, min_size=1, max_size=4, unique=True)):
        dtype = draw(st.sampled_from([*VALUES, "object"]))
        null = draw(st.sampled_from([None, np.nan, pd.NA, pd.NaT])) if dtype == "object" else None
        values, nullable = (draw(st.sampled_from(OBJECTS)), True) if dtype == "object" else VALUES[dtype]
        drawn = draw(st.lists(st.none() | values if nullable else values, min_size=rows, max_size=rows))
        columns[name] = pd.Series([null if value is None else value for value in drawn], dtype=dtype)
    return pd.DataFrame(columns)
