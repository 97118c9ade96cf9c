"""Kinds of pipelines with steps of other libraries than scikit-learn."""

from functools import partial

import category_encoders
from catboost import CatBoostClassifier, CatBoostRegressor
from feature_engine.encoding import CountFrequencyEncoder, RareLabelEncoder
from feature_engine.imputation import CategoricalImputer, MeanMedianImputer
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import make_pipeline as make_sampled_pipeline
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.pipeline import make_pipeline
from xgboost import XGBClassifier, XGBRegressor

from tests.support.kinds.data import (
    CATEGORIES,
    NUMBERS,
    as_categories,
    passengers,
    three_classes,
    two_classes,
    values,
)
from tests.support.kinds.steps import SEED, Kinds, encoded, logistic, of_passengers, prepared

xgboost = partial(XGBClassifier, n_estimators=50, n_jobs=1, **SEED)
lightgbm = partial(LGBMClassifier, n_estimators=50, n_jobs=1, verbose=-1, **SEED)
_QUIET = {"verbose": 0, "allow_writing_files": False, "thread_count": 1, "random_seed": 0}
catboost = partial(CatBoostClassifier, iterations=50, **_QUIET)


def _all_three() -> object:
    forest = RandomForestClassifier(20, **SEED)
    return VotingClassifier([("x", xgboost()), ("l", lightgbm()), ("f", forest)], voting="soft")


def _sampled() -> object:
    columns, final = prepared(logistic()).named_steps.values()
    return make_sampled_pipeline(columns, RandomOverSampler(**SEED), final)


def _engineered() -> object:
    with_nulls: list[str | int] = [*NUMBERS[:3]]
    texts: list[str | int] = [*CATEGORIES]
    return make_pipeline(
        MeanMedianImputer(variables=with_nulls),
        CategoricalImputer(variables=["b"]),
        RareLabelEncoder(tol=0.005, n_categories=3, variables=texts),
        CountFrequencyEncoder(unseen="encode", variables=texts),
        logistic(),
    )


def _kept_categories() -> object:
    return catboost(cat_features=["a", "c"])


BOOSTING: Kinds = {
    "xgboost": lambda: (prepared(xgboost()), two_classes()),
    "xgboost, sparse": lambda: (prepared(xgboost(), sparse=True), two_classes()),
    "xgboost, nulls": lambda: (xgboost(), two_classes(*NUMBERS)),
    "xgboost of passengers": lambda: (of_passengers(xgboost()), passengers()),
    "xgboost, three classes": lambda: (prepared(xgboost()), three_classes()),
    "xgboost, regression": lambda: (prepared(XGBRegressor(n_estimators=50, n_jobs=1)), values()),
    "xgboost, pandas categories": lambda: (xgboost(enable_categorical=True), as_categories(two_classes())),
    "lightgbm": lambda: (prepared(lightgbm()), two_classes()),
    "lightgbm, nulls": lambda: (lightgbm(), two_classes(*NUMBERS)),
    "lightgbm, three classes": lambda: (prepared(lightgbm()), three_classes()),
    "lightgbm, regression": lambda: (prepared(LGBMRegressor(n_estimators=50, n_jobs=1, verbose=-1)), values()),
    "lightgbm, pandas categories": lambda: (lightgbm(), as_categories(two_classes())),
    "catboost": lambda: (prepared(catboost()), two_classes()),
    "catboost, three classes": lambda: (prepared(catboost()), three_classes()),
    "catboost, regression": lambda: (prepared(CatBoostRegressor(iterations=50, **_QUIET)), values()),
    "catboost, its own categories": lambda: (_kept_categories(), two_classes(*NUMBERS, "a", "c")),
    "xgboost, lightgbm and a forest": lambda: (prepared(_all_three()), two_classes()),
}
STEPS: Kinds = {
    "imbalanced-learn": lambda: (_sampled(), two_classes()),
    "feature-engine": lambda: (_engineered(), two_classes()),
    **{
        f"category_encoders.{name}": lambda name=name: (  # type: ignore[misc]
            encoded(getattr(category_encoders, name)()),
            two_classes(),
        )
        for name in ("TargetEncoder", "WOEEncoder", "JamesSteinEncoder", "BinaryEncoder", "CountEncoder")
    },
    "category_encoders.HashingEncoder": lambda: (
        encoded(category_encoders.HashingEncoder(max_process=1)),
        two_classes(),
    ),
}
