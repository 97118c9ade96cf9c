"""A table holds the features of a value only if the estimator accepts them."""

import numpy as np
import pytest

from serialize.compiler.features import Demands
from serialize.compiler.tables import _accepted


@pytest.mark.parametrize(
    ("feature", "demands", "accepted"),
    [
        (np.nan, Demands(refuses_null=True, refuses_infinity=False, single=False), False),
        (np.nan, Demands(refuses_null=False, refuses_infinity=True, single=False), True),
        (np.inf, Demands(refuses_null=False, refuses_infinity=True, single=False), False),
        (np.inf, Demands(refuses_null=True, refuses_infinity=False, single=False), True),
        (1e300, Demands(refuses_null=True, refuses_infinity=True, single=False), True),
        (1e300, Demands(refuses_null=True, refuses_infinity=True, single=True), False),
    ],
)
def test_a_feature_is_refused_as_the_estimator_refuses_it(feature: float, demands: Demands, accepted: bool) -> None:
    assert (_accepted(np.array([0.0, feature]), demands) is not None) is accepted
