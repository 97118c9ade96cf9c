"""Figures have one form in the manifest, whether they come from the caller, from an earlier version or from dump."""

from typing import Any

import numpy as np
import pytest

from serialize import DumpError
from serialize.figures import figures, given


def test_plain_numbers_are_given() -> None:
    found = given({"accuracy": 0.5, "gini": np.float32(0.25), "rows": 3})

    assert found == {
        "method": "given",
        "metrics": {"accuracy": {"mean": 0.5}, "gini": {"mean": 0.25}, "rows": {"mean": 3.0}},
    }


@pytest.mark.parametrize(
    "known",
    [
        {"method": "5-fold cross-validation", "metrics": {"r2": {"mean": 0.5, "std": 0.25, "folds": 4}}},
        {"method": "2-fold cross-validation", "splitter": "TimeSeriesSplit", "metrics": {"r2": {"mean": 0.5}}},
        {"method": "none", "metrics": {}},
    ],
)
def test_the_form_of_a_manifest_stays_as_it_is(known: dict[str, Any]) -> None:
    assert given(known) == figures(known) == known


def test_a_method_beside_plain_numbers_is_kept() -> None:
    assert given({"method": "held-out rows of 2025", "accuracy": 0.5})["method"] == "held-out rows of 2025"
    assert given({"method": 0.5})["metrics"] == {"method": {"mean": 0.5}}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "0.5", None, True, {"std": 0.1}, np.array([0.1, 0.2])])
def test_what_is_no_finite_number_is_refused_and_left_out_of_an_earlier_manifest(value: Any) -> None:
    with pytest.raises(DumpError, match=r"metrics\['f1'\] must be a finite number"):
        given({"accuracy": 0.5, "f1": value})
    assert figures({"accuracy": 0.5, "f1": value})["metrics"] == {"accuracy": {"mean": 0.5}}
