"""Two observations have one key if the pipeline gets the same values for them."""

from datetime import datetime

import numpy as np
import pandas as pd

from serialize.declarations import Declarations
from serialize.frame import as_table, observations
from serialize.infer_signature import infer_signature
from service.learning.retraining.row_keys import row_key_of


def test_the_values_count_and_not_how_they_are_written() -> None:
    X = pd.DataFrame(
        {
            "half": np.array([0.1, 2.0], dtype=np.float32),
            "count": [1.0, None],
            "made": [datetime(2026, 1, 1), datetime(2026, 1, 2, 12)],
            "plan": ["a", "b"],
        }
    )
    container, table = as_table(X)
    signature = infer_signature(container, table, None, Declarations.of())
    key_of = row_key_of(signature)

    first = observations(table)[0]

    assert key_of(first) == key_of({"half": 0.1, "count": 1, "made": "2026-01-01T00:00:00.000", "plan": "a"})
    assert key_of(first) != key_of({**first, "plan": "A"})
    assert key_of(first) != key_of({**first, "count": None})
    assert key_of(first) != key_of({**first, "half": 0.1000001})
    assert key_of(first) != key_of({**first, "half": None})
    assert key_of(first) != key_of({**first, "made": "2026-01-01T00:00:01"})
    assert key_of({**first, "made": None}) == key_of({**first, "made": None}) != key_of(first)
