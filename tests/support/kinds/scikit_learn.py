"""Kinds of pipelines that need nothing but scikit-learn and the user's own steps."""

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
)
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.feature_selection import SelectKBest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import Ridge
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import BernoulliNB, GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    Normalizer,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import SVC, SVR, LinearSVC

from tests.support.kinds.data import (
    CATEGORIES,
    NUMBERS,
    as_categories,
    first,
    passengers,
    positive_values,
    three_classes,
    two_classes,
    values,
)
from tests.support.kinds.steps import (
    SEED,
    Kinds,
    encoded,
    logistic,
    numbers_alone,
    numbers_through,
    of_passengers,
    one_hot,
    prepared,
)
from tests.support.own_steps import ClippedColumns, GroupMeans, squares_after, with_ratio


def _after(step: object, sparse: bool = False) -> object:
    return prepared(make_pipeline(step, logistic()), sparse)


def _forest() -> object:
    return RandomForestClassifier(10, **SEED)


def _voting() -> object:
    return VotingClassifier([("a", logistic()), ("b", _forest()), ("c", GaussianNB())], voting="soft")


def _voting_of_pipelines() -> object:
    return VotingClassifier([("a", prepared(logistic())), ("b", numbers_through(final=GaussianNB()))], voting="soft")


def _stacking() -> object:
    return StackingClassifier([("a", logistic()), ("b", _forest()), ("c", SVC())])


def _stacked_regression() -> object:
    return StackingRegressor([("a", Ridge()), ("b", RandomForestRegressor(10, **SEED))])


def _own_group_means() -> object:
    numbers = ["n3", "n4", "n5", "n6"]
    return make_pipeline(make_column_transformer((GroupMeans(), [*numbers, "a"]), (one_hot(), ["b", "c"])), logistic())


def _of_categories() -> object:
    return HistGradientBoostingClassifier(max_iter=30, categorical_features="from_dtype", **SEED)


def _own_array_function() -> object:
    return numbers_alone(FunctionTransformer(squares_after), logistic())


def _own_frame_function() -> object:
    ratio = make_pipeline(SimpleImputer().set_output(transform="pandas"), FunctionTransformer(with_ratio))
    return make_pipeline(make_column_transformer((ratio, NUMBERS), (one_hot(), CATEGORIES)), logistic())


ESTIMATORS: Kinds = {
    "logistic regression": lambda: (prepared(logistic()), two_classes()),
    "logistic regression, sparse": lambda: (prepared(logistic(), sparse=True), two_classes()),
    "logistic regression of passengers": lambda: (of_passengers(logistic()), passengers()),
    "random forest of 200 trees": lambda: (prepared(RandomForestClassifier(200, **SEED)), two_classes()),
    "extra trees": lambda: (prepared(ExtraTreesClassifier(50, **SEED)), two_classes()),
    "gradient boosting": lambda: (prepared(GradientBoostingClassifier(**SEED)), two_classes()),
    "gradient boosting, regression": lambda: (prepared(GradientBoostingRegressor(**SEED)), values()),
    "histogram boosting": lambda: (prepared(HistGradientBoostingClassifier(max_iter=50, **SEED)), two_classes()),
    "histogram boosting, three classes": lambda: (
        prepared(HistGradientBoostingClassifier(max_iter=30, **SEED)),
        three_classes(),
    ),
    "histogram boosting, pandas categories": lambda: (_of_categories(), as_categories(two_classes())),
    "perceptron": lambda: (prepared(MLPClassifier(max_iter=30, **SEED)), two_classes()),
    "perceptron, three classes": lambda: (prepared(MLPClassifier(max_iter=30, **SEED)), three_classes()),
    "linear discriminant analysis": lambda: (prepared(LinearDiscriminantAnalysis()), two_classes()),
    "quadratic discriminant analysis": lambda: (
        numbers_alone(QuadraticDiscriminantAnalysis(reg_param=0.1)),
        two_classes(*NUMBERS),
    ),
    "Gaussian naive Bayes": lambda: (prepared(GaussianNB()), two_classes()),
    "Bernoulli naive Bayes": lambda: (prepared(BernoulliNB()), two_classes()),
    "nearest neighbours, brute force": lambda: (prepared(KNeighborsClassifier()), two_classes()),
    "nearest neighbours, kd-tree": lambda: (
        numbers_alone(KNeighborsClassifier(algorithm="kd_tree")),
        two_classes(*NUMBERS),
    ),
    "SVC, sparse": lambda: (prepared(SVC(probability=True, **SEED), sparse=True), two_classes()),
    "SVC, dense": lambda: (prepared(SVC(probability=True, **SEED)), two_classes()),
    "SVC, calibrated": lambda: (prepared(CalibratedClassifierCV(SVC(), ensemble=False)), two_classes()),
    "SVR": lambda: (prepared(SVR()), values()),
    "linear SVC, isotonic": lambda: (prepared(CalibratedClassifierCV(LinearSVC(), method="isotonic")), two_classes()),
    "calibrated pipelines": lambda: (CalibratedClassifierCV(prepared(LinearSVC())), two_classes()),
    "Gaussian process": lambda: (numbers_alone(GaussianProcessRegressor(alpha=1.0)), first(500, values(*NUMBERS))),
    "AdaBoost": lambda: (prepared(AdaBoostClassifier(**SEED)), two_classes()),
    "bagging": lambda: (prepared(BaggingClassifier(**SEED)), two_classes()),
    "one against the rest": lambda: (prepared(OneVsRestClassifier(logistic())), three_classes()),
    "voting": lambda: (prepared(_voting()), two_classes()),
    "voting of pipelines": lambda: (_voting_of_pipelines(), two_classes()),
    "stacking": lambda: (prepared(_stacking()), two_classes()),
    "stacking, regression": lambda: (prepared(_stacked_regression()), values()),
    "grid search": lambda: (GridSearchCV(prepared(logistic()), {"logisticregression__C": [0.1, 1.0]}), two_classes()),
    "threshold": lambda: (FixedThresholdClassifier(prepared(logistic()), threshold=0.3), two_classes()),
    "transformed target": lambda: (
        TransformedTargetRegressor(prepared(Ridge()), func=np.log1p, inverse_func=np.expm1),
        positive_values(),
    ),
}
TRANSFORMERS: Kinds = {
    "PCA": lambda: (_after(PCA(10)), two_classes()),
    "truncated SVD, sparse": lambda: (_after(TruncatedSVD(10, **SEED), sparse=True), two_classes()),
    "best columns": lambda: (_after(SelectKBest(k=10)), two_classes()),
    "polynomials": lambda: (numbers_through(PolynomialFeatures(2), StandardScaler()), two_classes()),
    "bins": lambda: (numbers_through(KBinsDiscretizer(5, encode="onehot-dense")), two_classes()),
    "power transform": lambda: (numbers_through(PowerTransformer()), two_classes()),
    "normalizer": lambda: (numbers_through(Normalizer()), two_classes()),
    "quantile transform": lambda: (numbers_through(QuantileTransformer(n_quantiles=100, **SEED)), two_classes()),
    "splines": lambda: (numbers_through(SplineTransformer()), two_classes()),
    "Nyström": lambda: (numbers_through(Nystroem(n_components=50, **SEED)), two_classes()),
    "imputer with flags": lambda: (
        make_pipeline(make_column_transformer((SimpleImputer(add_indicator=True), NUMBERS)), logistic()),
        two_classes(*NUMBERS),
    ),
    "imputer of neighbours": lambda: (
        make_pipeline(make_column_transformer((KNNImputer(), NUMBERS)), logistic()),
        two_classes(*NUMBERS),
    ),
    "iterative imputer": lambda: (
        make_pipeline(make_column_transformer((IterativeImputer(max_iter=3, **SEED), NUMBERS)), logistic()),
        two_classes(*NUMBERS),
    ),
    "target encoder": lambda: (encoded(TargetEncoder(**SEED)), two_classes()),
    "ordinal encoder": lambda: (
        encoded(OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), _forest()),
        two_classes(),
    ),
    "own function of an array": lambda: (_own_array_function(), two_classes(*NUMBERS)),
    "own function of a frame": lambda: (_own_frame_function(), two_classes()),
    "own class of an array": lambda: (numbers_through(ClippedColumns()), two_classes()),
    "own class of a frame": lambda: (_own_group_means(), two_classes()),
}
