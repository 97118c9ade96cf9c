"""A compiled form answers as its pipeline does for valid values that no training row and no edge row holds."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
)

from serialize.frame import Row
from tests.serialize.compiler.support import answer, compiled, model_of

_LINE = LogisticRegression()


def rows() -> pd.DataFrame:
    """60 rows: a text, an integer from 0 to 5, numbers with and without nulls, and a number in single precision."""
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "text": random.choice(np.array(["alpha", "beta", "gamma"], dtype=object), 60),
            "whole": random.integers(0, 6, 60),
            "number": random.normal(size=60),
            "other": random.normal(size=60),
            "single": random.choice(np.array([0.1, 0.2, 0.7], dtype=np.float32), 60),
        }
    )


def assert_answers_alike(pipeline: Any, X: pd.DataFrame, tried: Sequence[Row], **declared: Any) -> list[str]:
    """Asserts that a compiled form answers the tried rows as the pipeline does, and refuses the same ones. Returns the
    steps that it calls."""
    y = np.arange(len(X)) % 3 == 0
    model, known = model_of(pipeline.fit(X, y), X, **declared)
    fast = compiled(model, known)
    for row in tried:
        wanted = answer(model, row)
        np.testing.assert_allclose(answer(fast, row), wanted, rtol=1e-9, atol=1e-9)
    return fast.native


def vip(X: Any) -> Any:
    """Whether a text is one that no training row has, or a usual one."""
    return X[["text"]].isin(["VIP", "alpha"]).astype(float)


def rare(X: Any) -> Any:
    """The same for an integer."""
    return pd.DataFrame({"flag": X["whole"].isin([3, 77])}).astype(float)


@pytest.mark.parametrize(("own", "column", "value"), [(vip, "text", "VIP"), (rare, "whole", 77)])
def test_a_function_of_the_user_is_called_for_values_that_nothing_mentions(own: Any, column: str, value: Any) -> None:
    X = rows()[["text", "whole"]]
    tried = [{"text": "alpha", "whole": 1, column: value}]
    assert assert_answers_alike(make_pipeline(FunctionTransformer(own), _LINE), X, tried, text=["text"]) == [
        "FunctionTransformer"
    ]


def test_a_category_that_only_the_encoder_mentions_is_told_apart() -> None:
    encoder = OrdinalEncoder(categories=[[0, 1, 2, 3, 4, 5, 77]], handle_unknown="use_encoded_value", unknown_value=-1)
    tried = [{"whole": 77}, {"whole": 78}]
    assert assert_answers_alike(make_pipeline(encoder, _LINE), rows()[["whole"]], tried) == []


@pytest.mark.parametrize("columns", [["single"], ["single", "whole"]])
def test_numbers_are_rounded_to_single_precision_before_they_are_encoded(columns: list[str]) -> None:
    pipeline = make_pipeline(OneHotEncoder(handle_unknown="ignore"), _LINE)
    tried = [{"single": value, "whole": 2} for value in (0.1, 0.2, 0.7, 0.3)]
    assert_answers_alike(pipeline, rows()[columns], [{name: row[name] for name in columns} for row in tried])


def test_a_rule_takes_columns_of_single_and_double_precision() -> None:
    tried = [{"single": 0.1, "whole": 2, "number": 0.1}, {"single": 1e6 + 0.1, "whole": 2, "number": 0.1}]
    pipeline = make_pipeline(StandardScaler(), _LINE)
    assert assert_answers_alike(pipeline, rows()[["single", "whole", "number"]], tried) == []


def test_an_imputer_that_looks_at_other_columns_is_called_although_no_training_row_has_a_null() -> None:
    tried = [{"number": None, "other": value} for value in (-2.0, -0.5, 0.5, 2.0)]
    pipeline = make_pipeline(KNNImputer(n_neighbors=2), _LINE)
    assert_answers_alike(pipeline, rows()[["number", "other"]], tried, nullable=["number"])


AFTER: dict[str, Any] = {
    "nothing": None,
    "clipped": MinMaxScaler(clip=True),
    "above a threshold": Binarizer(),
    "bins": KBinsDiscretizer(3, encode="ordinal", quantile_method="averaged_inverted_cdf"),
    "imputed": SimpleImputer(),
    "dropped": SelectKBest(k=1),
}


@pytest.mark.parametrize("name", AFTER)
@pytest.mark.parametrize("model", [_LINE, HistGradientBoostingClassifier(max_iter=5)], ids=["linear", "trees"])
def test_infinity_that_a_step_gives_is_refused_where_the_pipeline_refuses_it(name: str, model: Any) -> None:
    steps = [step for step in (FunctionTransformer(reciprocal), AFTER[name], model) if step is not None]
    tried = [{"number": 77.0, "other": 0.5}, {"number": 0.5, "other": 77.0}, {"number": 0.5, "other": 0.5}]
    assert_answers_alike(make_pipeline(*steps), rows()[["number", "other"]], tried)


def reciprocal(X: Any) -> Any:
    """1 / (x - 77)."""
    with np.errstate(divide="ignore"):
        return 1 / (X - 77.0)
