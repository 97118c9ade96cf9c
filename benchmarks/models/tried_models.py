"""The models that are tried: estimators and transformers of scikit-learn and gradient boosting libraries, on small data
with nulls, strings, texts and times. The long tests compare each with its pipeline; `models` measures it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import catboost
import lightgbm
import numpy as np
import pandas as pd
import xgboost
from sklearn import (
    calibration,
    compose,
    cross_decomposition,
    decomposition,
    discriminant_analysis,
    dummy,
    ensemble,
    feature_extraction,
    feature_selection,
    gaussian_process,
    impute,
    kernel_approximation,
    kernel_ridge,
    linear_model,
    model_selection,
    multiclass,
    naive_bayes,
    neighbors,
    neural_network,
    preprocessing,
    semi_supervised,
    svm,
    tree,
)
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.pipeline import make_pipeline, make_union

from benchmarks.passengers import DATA, TARGET

_ROWS = 240
_STRINGS = ["Sex", "Embarked"]
_NUMBERS = ["Pclass", "Age", "SibSp", "Fare"]
_seeded = {"random_state": 0}
_few = {"n_estimators": 20, "random_state": 0}


@dataclass(frozen=True, slots=True)
class TriedModel:
    """An unfitted pipeline with n training rows `X` and targets `y`, and further arguments of `dump`."""

    group: str
    name: str
    pipeline: Any
    X: Any
    y: Any
    options: dict[str, Any] = field(default_factory=dict)


class OwnThreshold(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier with a `predict` of its own: yes from a probability of 0.3 on."""

    def fit(self, X: Any, y: Any) -> "OwnThreshold":
        self.model_ = linear_model.LogisticRegression(max_iter=1000).fit(X, y)
        self.classes_ = self.model_.classes_
        return self

    def predict(self, X: Any) -> Any:
        return self.classes_[(self.predict_proba(X)[:, 1] >= 0.3).astype(int)]

    def predict_proba(self, X: Any) -> Any:
        return self.model_.predict_proba(X)


def months(table: pd.DataFrame) -> pd.DataFrame:
    """Each column of times as the month and the hour."""
    return pd.DataFrame(
        {f"{name} {part}": getattr(table[name].dt, part) for name in table for part in ("month", "hour")}
    )


def tried_models() -> Iterator[TriedModel]:
    """Every model."""
    for group, source, models in _GROUPS:
        for name, (pipeline, options) in models().items():
            X, y = source()
            yield TriedModel(group, name, pipeline, X, y, options)
    for group, source, transformers in _TRANSFORMED:
        for name, transformer in transformers().items():
            X, y = source()
            final = linear_model.LogisticRegression(max_iter=2000)
            yield TriedModel(group, name, make_pipeline(transformer, final), X, y)
    yield from _containers()


@cache
def _cancer() -> tuple[pd.DataFrame, "pd.Series[Any]"]:
    data = load_breast_cancer(as_frame=True)
    columns = ["mean radius", "mean texture", "mean smoothness", "worst concavity"]
    return data.data[columns][:_ROWS] / data.data[columns].max(), data.target[:_ROWS]


def _labelled(*labels: Any) -> tuple[pd.DataFrame, "pd.Series[Any]"]:
    X, y = _cancer()
    return X, y.map(dict(enumerate(labels)))


@cache
def _iris() -> tuple[pd.DataFrame, "pd.Series[Any]"]:
    data = load_iris(as_frame=True)
    return data.data, data.target.map(dict(enumerate(map(str, data.target_names))))


@cache
def _diabetes() -> tuple[pd.DataFrame, "pd.Series[Any]"]:
    data = load_diabetes(as_frame=True)
    return data.data[["age", "bmi", "bp", "s5"]][:_ROWS] * 10, data.target[:_ROWS]


@cache
def _passengers() -> tuple[pd.DataFrame, "pd.Series[Any]"]:
    rows = pd.read_csv(DATA)[:_ROWS]
    return rows[_STRINGS + _NUMBERS], rows[TARGET].astype(bool)


def _numbers_with_nulls() -> tuple[pd.DataFrame, "pd.Series[Any]"]:
    X, y = _passengers()
    return X[_NUMBERS].astype(float), y


def _strings_with_nulls() -> tuple[pd.DataFrame, "pd.Series[Any]"]:
    X, y = _passengers()
    return X[_STRINGS], y


def _texts() -> tuple["pd.Series[Any]", "pd.Series[Any]"]:
    X, y = _passengers()
    words = X["Sex"] + " of class " + X["Pclass"].astype(str) + " paid " + X["Fare"].round().astype(str)
    return words.rename("story"), y


def _records() -> tuple[pd.DataFrame, "pd.Series[Any]"]:
    X, y = _passengers()
    return X[["Sex"]], y


def _times() -> tuple[pd.DataFrame, "pd.Series[Any]"]:
    hours = pd.Series(np.random.default_rng(0).integers(0, 8760, _ROWS))
    naive = pd.Timestamp("2025-01-01") + pd.to_timedelta(hours, unit="h")
    return pd.DataFrame({"naive": naive, "zoned": naive.dt.tz_localize("UTC")}), hours % 24 < 9


def _logistic() -> Any:
    return linear_model.LogisticRegression(max_iter=1000)


def _plain(**pipelines: Any) -> dict[str, tuple[Any, dict[str, Any]]]:
    return {name.replace("_", " "): (pipeline, {}) for name, pipeline in pipelines.items()}


def _named(*pipelines: Any) -> dict[str, tuple[Any, dict[str, Any]]]:
    return {type(pipeline).__name__: (pipeline, {}) for pipeline in pipelines}


def _classifiers() -> dict[str, tuple[Any, dict[str, Any]]]:
    return _named(
        linear_model.LogisticRegression(),
        linear_model.LogisticRegressionCV(
            Cs=3, cv=3, scoring="neg_log_loss", use_legacy_attributes=False, l1_ratios=(0.0,)
        ),
        linear_model.SGDClassifier(loss="log_loss", **_seeded),
        naive_bayes.GaussianNB(),
        naive_bayes.BernoulliNB(binarize=0.5),
        naive_bayes.MultinomialNB(),
        naive_bayes.ComplementNB(),
        neighbors.KNeighborsClassifier(4),
        neighbors.RadiusNeighborsClassifier(2.0),
        tree.DecisionTreeClassifier(max_depth=4, **_seeded),
        tree.ExtraTreeClassifier(max_depth=4, **_seeded),
        ensemble.RandomForestClassifier(**_few),
        ensemble.ExtraTreesClassifier(**_few),
        ensemble.GradientBoostingClassifier(**_few),
        ensemble.HistGradientBoostingClassifier(max_iter=20, **_seeded),
        ensemble.AdaBoostClassifier(**_few),
        ensemble.BaggingClassifier(**_few),
        neural_network.MLPClassifier(hidden_layer_sizes=(8,), solver="lbfgs", max_iter=2000, **_seeded),
        discriminant_analysis.LinearDiscriminantAnalysis(),
        discriminant_analysis.QuadraticDiscriminantAnalysis(),
        gaussian_process.GaussianProcessClassifier(),
        dummy.DummyClassifier(),
        semi_supervised.LabelSpreading(),
        lightgbm.LGBMClassifier(n_estimators=20, verbose=-1, n_jobs=1),
        xgboost.XGBClassifier(n_estimators=20, n_jobs=1),
        catboost.CatBoostClassifier(iterations=20, verbose=0, allow_writing_files=False, random_seed=0),
    )


def _composed() -> dict[str, tuple[Any, dict[str, Any]]]:
    forest = partial(ensemble.RandomForestClassifier, **_few)
    two = [("logistic", _logistic()), ("forest", forest())]
    search = model_selection.GridSearchCV
    tuned = model_selection.TunedThresholdClassifierCV
    fixed = model_selection.FixedThresholdClassifier
    return {
        "CalibratedClassifierCV of LinearSVC": (calibration.CalibratedClassifierCV(svm.LinearSVC()), {}),
        "CalibratedClassifierCV of SVC, one model": (calibration.CalibratedClassifierCV(svm.SVC(), ensemble=False), {}),
        "CalibratedClassifierCV of a forest, isotonic": (
            calibration.CalibratedClassifierCV(forest(), method="isotonic"),
            {},
        ),
        "StackingClassifier": (ensemble.StackingClassifier(two), {}),
        "VotingClassifier, soft": (ensemble.VotingClassifier(two, voting="soft"), {}),
        "OneVsRestClassifier": (multiclass.OneVsRestClassifier(_logistic()), {}),
        "FixedThresholdClassifier": (fixed(_logistic(), threshold=0.3, pos_label="no"), {}),
        "TunedThresholdClassifierCV": (tuned(_logistic()), {}),
        "TunedThresholdClassifierCV in a pipeline": (
            make_pipeline(preprocessing.StandardScaler(), tuned(forest())),
            {},
        ),
        "GridSearchCV": (search(_logistic(), {"C": [0.1, 1.0]}), {}),
        "GridSearchCV of FixedThresholdClassifier": (search(fixed(_logistic()), {"threshold": [0.4]}), {}),
        "a `predict` of its own, `threshold=0.3`": (OwnThreshold(), {"threshold": 0.3}),
        "the first class as `positive_class`": (_logistic(), {"positive_class": "no"}),
    }


def _multiclass() -> dict[str, tuple[Any, dict[str, Any]]]:
    return _named(
        _logistic(),
        neighbors.KNeighborsClassifier(2),
        ensemble.RandomForestClassifier(**_few),
        ensemble.HistGradientBoostingClassifier(max_iter=10, **_seeded),
        ensemble.GradientBoostingClassifier(**_few),
        multiclass.OneVsRestClassifier(_logistic()),
        discriminant_analysis.LinearDiscriminantAnalysis(),
        calibration.CalibratedClassifierCV(svm.SVC(), ensemble=False),
        naive_bayes.GaussianNB(),
        lightgbm.LGBMClassifier(n_estimators=10, verbose=-1, n_jobs=1),
        catboost.CatBoostClassifier(iterations=10, verbose=0, allow_writing_files=False, random_seed=0),
    )


def _regressors() -> dict[str, tuple[Any, dict[str, Any]]]:
    two = [("ridge", linear_model.Ridge()), ("tree", tree.DecisionTreeRegressor(max_depth=4, **_seeded))]
    return _named(
        linear_model.LinearRegression(),
        linear_model.Ridge(),
        linear_model.Lasso(),
        linear_model.ElasticNet(),
        linear_model.BayesianRidge(),
        linear_model.HuberRegressor(max_iter=1000),
        linear_model.PoissonRegressor(max_iter=1000),
        linear_model.GammaRegressor(max_iter=1000),
        linear_model.TweedieRegressor(power=1.5, max_iter=1000),
        linear_model.QuantileRegressor(solver="highs"),
        linear_model.RANSACRegressor(**_seeded),
        linear_model.TheilSenRegressor(max_subpopulation=200, **_seeded),
        neighbors.KNeighborsRegressor(),
        tree.DecisionTreeRegressor(**_seeded),
        ensemble.RandomForestRegressor(**_few),
        ensemble.ExtraTreesRegressor(**_few),
        ensemble.GradientBoostingRegressor(**_few),
        ensemble.HistGradientBoostingRegressor(max_iter=20, **_seeded),
        ensemble.AdaBoostRegressor(**_few),
        ensemble.StackingRegressor(two),
        ensemble.VotingRegressor(two),
        svm.SVR(),
        svm.LinearSVR(max_iter=100_000, **_seeded),
        kernel_ridge.KernelRidge(),
        neural_network.MLPRegressor(hidden_layer_sizes=(8,), solver="lbfgs", max_iter=5000, **_seeded),
        gaussian_process.GaussianProcessRegressor(alpha=1.0, normalize_y=True),
        cross_decomposition.PLSRegression(),
        compose.TransformedTargetRegressor(linear_model.Ridge(), func=np.log, inverse_func=np.exp),
        lightgbm.LGBMRegressor(n_estimators=20, verbose=-1, n_jobs=1),
        xgboost.XGBRegressor(n_estimators=20, n_jobs=1),
        catboost.CatBoostRegressor(iterations=20, verbose=0, allow_writing_files=False, random_seed=0),
    )


def _of_numbers() -> dict[str, Any]:
    some = [
        preprocessing.StandardScaler(),
        preprocessing.MinMaxScaler(),
        preprocessing.MaxAbsScaler(),
        preprocessing.RobustScaler(),
        preprocessing.Normalizer(),
        preprocessing.QuantileTransformer(n_quantiles=50),
        preprocessing.PowerTransformer(),
        preprocessing.PolynomialFeatures(2),
        preprocessing.SplineTransformer(),
        preprocessing.KBinsDiscretizer(4, quantile_method="averaged_inverted_cdf"),
        preprocessing.Binarizer(threshold=0.5),
        preprocessing.FunctionTransformer(np.log1p),
        decomposition.PCA(2),
        decomposition.TruncatedSVD(2, **_seeded),
        kernel_approximation.Nystroem(n_components=10, **_seeded),
        feature_selection.SelectKBest(k=2),
        feature_selection.VarianceThreshold(),
        feature_selection.SelectFromModel(_logistic()),
    ]
    return {
        **{type(one).__name__: one for one in some},
        "FeatureUnion": make_union(preprocessing.StandardScaler(), decomposition.PCA(2)),
    }


def _of_nulls() -> dict[str, Any]:
    return {
        "SimpleImputer, median": impute.SimpleImputer(strategy="median"),
        "SimpleImputer with an indicator": impute.SimpleImputer(add_indicator=True),
        "KNNImputer": make_pipeline(impute.KNNImputer(), preprocessing.StandardScaler()),
        "IterativeImputer": make_pipeline(impute.IterativeImputer(**_seeded), preprocessing.StandardScaler()),
        "MissingIndicator": impute.MissingIndicator(features="all"),
    }


def _of_strings() -> dict[str, Any]:
    null = impute.SimpleImputer(strategy="constant", fill_value="none", missing_values=np.nan)
    return {
        "OneHotEncoder": preprocessing.OneHotEncoder(handle_unknown="ignore"),
        "OneHotEncoder, dense and infrequent": preprocessing.OneHotEncoder(
            handle_unknown="infrequent_if_exist", min_frequency=10, sparse_output=False
        ),
        "OrdinalEncoder": make_pipeline(
            null, preprocessing.OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
        ),
        "TargetEncoder": preprocessing.TargetEncoder(
            cv=model_selection.StratifiedKFold(5, shuffle=True, random_state=0)
        ),
    }


def _of_texts() -> dict[str, Any]:
    text = feature_extraction.text
    return {
        "TfidfVectorizer": text.TfidfVectorizer(),
        "CountVectorizer of characters": text.CountVectorizer(analyzer="char_wb", ngram_range=(2, 3)),
        "HashingVectorizer": text.HashingVectorizer(n_features=256),
    }


def _of_times() -> dict[str, Any]:
    return {"FunctionTransformer of dates": preprocessing.FunctionTransformer(months)}


def _containers() -> Iterator[TriedModel]:
    """Training data in other containers and dtypes."""
    (X, y), (passengers, survived) = _cancer(), _passengers()
    scaled = partial(make_pipeline, preprocessing.StandardScaler(), _logistic())
    forest = partial(ensemble.RandomForestClassifier, **_few)
    columns = compose.make_column_transformer(
        (preprocessing.OneHotEncoder(handle_unknown="ignore"), _STRINGS), (impute.SimpleImputer(), _NUMBERS)
    )
    levels = passengers.astype(dict.fromkeys(_STRINGS, "category"))
    extended = passengers[_NUMBERS].convert_dtypes(dtype_backend="numpy_nullable")
    flags = pd.DataFrame({"thick": X["mean radius"] > 0.5, "rough": X["mean texture"] > 0.5})
    iris, species = load_iris(return_X_y=True)
    boosted = ensemble.HistGradientBoostingClassifier(categorical_features="from_dtype", max_iter=20, **_seeded)
    imputed = make_pipeline(impute.SimpleImputer(), ensemble.RandomForestClassifier(**_few))
    tried = {
        "an array": (scaled(), X.to_numpy(), y, {}),
        "an array of float32": (scaled(), X.to_numpy(np.float32), y, {}),
        "a frame of float32": (forest(), X.astype(np.float32), y, {}),
        "an array of integers, integer labels": (forest(), (iris * 10).astype(int), species + 1, {}),
        "a list of texts": (
            make_pipeline(feature_extraction.text.TfidfVectorizer(), _logistic()),
            [*_texts()[0]],
            y,
            {},
        ),
        "a frame of strings and numbers with nulls": (make_pipeline(columns, _logistic()), passengers, survived, {}),
        "a frame of category dtype": (boosted, levels, survived, {}),
        "a frame of nullable integers": (imputed, extended, survived, {}),
        "a frame of booleans": (forest(), flags, y, {}),
        "columns declared nullable": (boosted, passengers[_NUMBERS], survived, {"nullable": ["Pclass"]}),
        "pandas output": (scaled().set_output(transform="pandas"), X, y, {}),
    }
    for name, (pipeline, rows, targets, options) in tried.items():
        yield TriedModel("Training data", name, pipeline, rows, targets, options)


Source = Callable[[], tuple[Any, Any]]
_GROUPS: tuple[tuple[str, Source, Callable[[], dict[str, tuple[Any, dict[str, Any]]]]], ...] = (
    ("Classifiers of two classes", _cancer, _classifiers),
    ("Composed classifiers, string labels", partial(_labelled, "no", "yes"), _composed),
    ("Classifiers of three classes", _iris, _multiclass),
    ("Regressors", _diabetes, _regressors),
)
_TRANSFORMED: tuple[tuple[str, Source, Callable[[], dict[str, Any]]], ...] = (
    ("Transformers of numbers", _cancer, _of_numbers),
    ("Transformers of numbers with nulls", _numbers_with_nulls, _of_nulls),
    ("Transformers of strings with nulls", _strings_with_nulls, _of_strings),
    ("Transformers of texts", _texts, _of_texts),
    ("Transformers of times", _times, _of_times),
)
