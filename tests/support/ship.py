"""Small training rows with nulls, and the comparison of an artifact with expected outputs."""

import json
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder

from serialize import Artifact
from serialize.frame import as_table, observations

RNG = np.random.default_rng(0)
ROWS = 40


def with_nulls(values: Any, null: Any = None) -> list[Any]:
    return [null if gone else value for value, gone in zip(values, RNG.random(ROWS) < 0.2, strict=True)]


AGES, RANKS = RNG.normal(40, 12, ROWS), RNG.integers(1, 4, ROWS)
PORTS = np.array(["C", "Q", "S"], dtype=object)[RNG.integers(0, 3, ROWS)]
WORDS = [" ".join(RNG.choice(["red", "green", "sea", "dog", "deck"], 5)) for _ in range(ROWS)]
SURVIVED = (AGES / 12 + RANKS + RNG.normal(size=ROWS) > 5.3).astype(int)
FARES = AGES * RANKS + RNG.normal(size=ROWS)
CLASSES = np.array(["first", "second", "third"])[RANKS - 1]
FRAME = pd.DataFrame({"age": with_nulls(AGES), "rank": RANKS, "port": with_nulls(PORTS)})
NUMBERS = pd.DataFrame({"age": AGES, "rank": RANKS})


def columns() -> Any:
    return make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["port"]), (SimpleImputer(), ["age", "rank"])
    )


def ported(values: Any, dtype: Any) -> pd.DataFrame:
    return FRAME.assign(port=pd.Series(values, dtype=dtype))


def apart(artifact: Artifact, X: Any, expected: Any) -> float:
    """The largest difference from the expected outputs for the rows of X, sent as JSON in a batch and one at a time."""
    _, table = as_table(X)
    rows = json.loads(json.dumps(observations(table.set_axis(artifact.model.signature.names, axis=1))))
    batch = artifact.model.outputs(rows)
    alone = np.vstack([artifact.model.outputs([row]) for row in rows])
    expected = np.asarray(expected, dtype=float).reshape(len(rows), -1)
    assert batch.shape == alone.shape == expected.shape
    return float(max(abs(batch - expected).max(), abs(alone - expected).max()))
