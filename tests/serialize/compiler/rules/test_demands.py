"""What an estimator refuses, which its compiled form must refuse too."""

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import LinearRegression

from serialize.compiler.rules.demands import Demands, demands_of


@pytest.mark.parametrize(
    ("estimator", "expected"),
    [
        (LinearRegression(), Demands(refuses_null=True, refuses_infinity=True, single=False)),
        (RandomForestRegressor(1), Demands(refuses_null=False, refuses_infinity=True, single=False)),
        (HistGradientBoostingRegressor(max_iter=1), Demands(refuses_null=False, refuses_infinity=False, single=False)),
    ],
    ids=["linear", "forest", "boosting"],
)
def test_what_an_estimator_refuses_is_found_by_trying(estimator: Any, expected: Demands) -> None:
    X = np.arange(80.0).reshape(40, 2)

    assert demands_of(estimator.fit(X, X[:, 0])) == expected
