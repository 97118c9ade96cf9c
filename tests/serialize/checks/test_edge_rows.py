"""The rare observations that a model is tried with."""

import numpy as np
import pandas as pd

from serialize.checks.edge_rows import edge_rows
from serialize.declarations import Declarations
from serialize.frame import as_table, observations
from serialize.infer_signature import infer_signature

X = pd.DataFrame({"whole": [1, 2, 3], "number": [0.5, 1.5, np.nan], "word": ["a", "b", "a"]})


def test_the_numbers_that_single_and_double_precision_round_are_tried() -> None:
    container, table = as_table(X)
    signature = infer_signature(container, table, None, Declarations.of())

    rows = edge_rows(signature, observations(table))

    assert {0, 2**24 + 1, 2**31, -(2**31), 2**53 + 1} <= {row["whole"] for row in rows}
    assert {-0.0, 5e-324, 1e6 + 0.1, 2**24 + 1, None} <= {row["number"] for row in rows}
    assert all(list(row) == list(X) for row in rows)
