"""What the kinds of pipelines are made of: preparation of the columns and common estimators."""

from collections.abc import Callable, Mapping
from typing import Any

from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tests.support.kinds.data import CATEGORIES, NUMBERS, Data

# By name, what makes an unfitted pipeline and its training data.
Kinds = Mapping[str, Callable[[], tuple[Any, Data]]]
SEED: dict[str, Any] = {"random_state": 0}


def logistic() -> Any:
    """A logistic regression."""
    return LogisticRegression(max_iter=500)


def prepared(final: Any, sparse: bool = False) -> Any:
    """Imputed and scaled numbers, one-hot texts, and an estimator."""
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    texts = make_pipeline(SimpleImputer(strategy="constant", fill_value="?"), one_hot(sparse))
    return make_pipeline(make_column_transformer((numbers, NUMBERS), (texts, CATEGORIES)), final)


def one_hot(sparse: bool = False) -> Any:
    """An encoder that ignores unseen texts."""
    return OneHotEncoder(handle_unknown="ignore", sparse_output=sparse)


def numbers_through(*steps: Any, final: Any | None = None) -> Any:
    """Imputed numbers through these steps, one-hot texts, and an estimator."""
    numbers = make_pipeline(SimpleImputer(strategy="median"), *steps)
    return make_pipeline(
        make_column_transformer((numbers, NUMBERS), (one_hot(), CATEGORIES)), logistic() if final is None else final
    )


def numbers_alone(*steps: Any) -> Any:
    """Imputed and scaled numbers, these steps, and nothing else."""
    return make_pipeline(make_column_transformer((make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS)), *steps)


def encoded(encoder: Any, final: Any | None = None) -> Any:
    """The texts through an encoder, imputed numbers, and an estimator."""
    return make_pipeline(
        make_column_transformer((encoder, CATEGORIES), (SimpleImputer(), NUMBERS)),
        logistic() if final is None else final,
    )


def of_passengers(final: Any) -> Any:
    """Imputed and scaled numbers of the passengers, one-hot texts, and an estimator."""
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    return make_pipeline(
        make_column_transformer((numbers, ["Age", "SibSp", "Parch", "Fare"]), (one_hot(), ["Sex", "Embarked"])), final
    )


def _given(final: Any | None) -> Any:
    return logistic() if final is None else final
