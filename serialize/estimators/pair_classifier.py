"""Answers which of two authors would write a text. The classifier keeps the vectorised texts of all authors, and trains
a logistic regression for two of them when it is first asked about these two.

The training converges to the limit of double precision and uses no random numbers, so that another machine gives the
same probabilities to 1e-9."""

import itertools
from _thread import RLock  # the lock of native threads, also where gevent has replaced those of `threading`
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.utils.validation import check_is_fitted

from serialize.compiler.runtime.texts import Weighting
from serialize.errors import RefusedValue
from serialize.formats.dataframes import as_pandas

COLUMNS = ("a", "b", "text")
_TOLERANCE = 1e-14  # greatest slope of the mean loss; Newton's method then has 1e-9 in the probabilities to spare
_MOST_STEPS = 1000

Array = np.ndarray[Any, Any]
Pair = tuple[int, int]


class PairClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc] # scikit-learn has no types
    """A classifier of texts for two authors at a time, given in each row.

    `vectorizer` turns texts into a matrix; None is TfidfVectorizer(sublinear_tf=True). `C` is the inverse strength of
    the L2 penalty of each logistic regression, with balanced classes. An author needs `min_texts` texts. The models of
    the last `cache_size` pairs are kept in memory; they are not pickled.

    After `fit`, `classes_` holds the k authors with enough texts, sorted, and `too_few_` the number of texts of each
    other author. Several threads may call `predict_proba` at the same time: each new pair is trained once."""

    def __init__(self, vectorizer: Any = None, *, C: float = 10.0, min_texts: int = 5, cache_size: int = 256) -> None:
        self.vectorizer = vectorizer
        self.C = C
        self.min_texts = min_texts
        self.cache_size = cache_size

    def fit(self, X: Any, y: Any) -> Self:
        """Keep n texts and their n authors. `X` is a list, Series or array of texts, or a DataFrame with a column
        `text`, whose other columns are ignored. Raises ValueError for a null, for other shapes, and for fewer than two
        authors with enough texts."""
        if self.min_texts < 1 or self.cache_size < 1:
            raise ValueError("min_texts and cache_size must be 1 or more.")
        texts, authors = _texts(X), np.asarray(as_pandas(y)).reshape(-1)
        if len(texts) != len(authors):
            raise ValueError(f"X has {len(texts)} texts and y has {len(authors)} authors; give one author for each.")
        nulls = sum(text is None for text in texts) + int(pd.isna(authors).sum())
        if nulls:
            raise ValueError(f"{nulls} texts or authors are null; drop these rows.")
        found, numbers, counts = np.unique(authors, return_inverse=True, return_counts=True)
        enough = counts >= self.min_texts
        if enough.sum() < 2:
            raise ValueError(
                f"{enough.sum()} of {len(found)} authors have {self.min_texts} texts or more, and two are needed; add "
                "texts or lower min_texts."
            )
        self.classes_ = found[enough]
        self.too_few_: Mapping[Any, int] = dict(zip(found[~enough].tolist(), counts[~enough].tolist(), strict=True))
        order = np.argsort(numbers, kind="stable")
        kept = order[enough[numbers[order]]]
        self.vectorizer_ = TfidfVectorizer(sublinear_tf=True) if self.vectorizer is None else clone(self.vectorizer)
        self.matrix_ = csr_matrix(self.vectorizer_.fit_transform([texts[row] for row in kept]), dtype=np.float64)
        self.starts_ = np.concatenate([[0], np.cumsum(counts[enough])])
        self.feature_names_in_, self.n_features_in_ = np.array(COLUMNS, dtype=object), len(COLUMNS)
        self._numbers = {author: number for number, author in enumerate(self.classes_.tolist())}
        self._renew()
        return self

    def predict_proba(self, X: Any) -> Array:
        """The probabilities of the k authors for n rows of a DataFrame with the columns a, b and text, of shape (n, k):
        zero but for the two authors of the row. An empty text, and one without a known word, is answered too.

        Raises RefusedValue, before any training, for a row with an unknown author, one author twice, or a null."""
        check_is_fitted(self)
        by_pair, texts = self._rows_by_pair(X)
        probas = np.zeros((len(texts), len(self.classes_)))
        vectors = self._vectorize(texts) if texts else []
        for (first, second), rows in by_pair.items():
            model = self._model(first, second)
            proba = expit([model.score(*vectors[row]) for row in rows])
            probas[rows, second], probas[rows, first] = proba, 1.0 - proba
        return probas

    def predict(self, X: Any) -> Array:
        """The likelier of the two authors of each row, of shape (n,); of two equal ones the first in `classes_`."""
        likelier = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[likelier])

    def make_baseline(self) -> "Guess":
        """The classifier that ignores the text, which cross-validation compares this one with."""
        return Guess()

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name not in ("_lock", "_models", "_vectorize")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._renew()

    def _renew(self) -> None:
        self._lock, self._models = RLock(), OrderedDict[Pair, _Model]()
        self._vectorize = _vectorizing(self.vectorizer_)

    def _rows_by_pair(self, X: Any) -> tuple[dict[Pair, list[int]], list[str]]:
        """The rows of each pair of numbers of authors, the smaller number first, and the texts of all rows."""
        X = as_pandas(X)
        if not isinstance(X, pd.DataFrame) or not set(COLUMNS) <= set(X.columns):
            raise ValueError("X must be a DataFrame with the columns a, b and text.")
        texts: list[Any] = _texts(X)
        by_pair: dict[Pair, list[int]] = {}
        for row, (a, b, text) in enumerate(zip(X["a"].tolist(), X["b"].tolist(), texts, strict=True)):
            left, right = self._number("a", a), self._number("b", b)
            if left == right:
                raise RefusedValue("b", b, "another author than a")
            if text is None:
                raise RefusedValue("text", None, "a text")
            by_pair.setdefault((min(left, right), max(left, right)), []).append(row)
        return by_pair, texts

    def _number(self, column: str, author: Any) -> int:
        number = self._numbers.get(author)
        if number is not None:
            return number
        if author in self.too_few_:
            raise RefusedValue(
                column, author, f"an author with {self.min_texts} texts or more (this one has {self.too_few_[author]})"
            )
        raise RefusedValue(column, author, f"one of the {len(self.classes_)} authors of the model")

    def _model(self, first: int, second: int) -> "_Model":
        with self._lock:
            model = self._models.pop((first, second), None) or self._trained(first, second)
            self._models[first, second] = model  # the last one was used last
            while len(self._models) > self.cache_size:
                self._models.popitem(last=False)
            return model

    def _trained(self, first: int, second: int) -> "_Model":
        """The model of two authors, over the terms that one of them uses: the others have the coefficient 0."""
        starts, ends = self.starts_[[first, second]], self.starts_[[first + 1, second + 1]]
        texts = self.matrix_[np.r_[starts[0] : ends[0], starts[1] : ends[1]]]
        terms, places = np.unique(texts.indices, return_inverse=True)
        used = csr_matrix((texts.data, places.astype(np.int32), texts.indptr), shape=(texts.shape[0], len(terms)))
        is_second = np.repeat([False, True], ends - starts)
        found = LogisticRegression(
            C=self.C, class_weight="balanced", solver="newton-cg", tol=_TOLERANCE, max_iter=_MOST_STEPS
        ).fit(used, is_second)
        return _Model(terms, found.coef_[0], float(found.intercept_[0]))


class Guess(ClassifierMixin, BaseEstimator):  # type: ignore[misc] # scikit-learn has no types
    """Gives each of the two authors of a row the probability 0.5, and predicts `a`."""

    def fit(self, X: Any, y: Any) -> Self:
        """Keep the authors."""
        self.classes_ = np.unique(np.asarray(as_pandas(y)))
        return self

    def predict_proba(self, X: Any) -> Array:
        """0.5 for the two authors of each row of a DataFrame with the columns a and b, of shape (n, k)."""
        is_asked = (self.classes_ == X[["a"]].to_numpy()) | (self.classes_ == X[["b"]].to_numpy())
        return np.asarray(0.5 * is_asked)

    def predict(self, X: Any) -> Array:
        """The author `a` of each row, of shape (n,)."""
        return np.asarray(X["a"])


class _Model(NamedTuple):
    """The logistic regression of two authors: the numbers of its m terms in ascending order, and their coefficients of
    shape (m,)."""

    terms: Array
    coefficients: Array
    intercept: float

    def score(self, terms: Array, values: Array) -> float:
        """The log-odds of the second author for a text with these terms and their values, both of shape (k,)."""
        places = np.minimum(np.searchsorted(self.terms, terms), len(self.terms) - 1)
        used = self.terms[places] == terms
        return float((self.coefficients[places[used]] * values[used]).sum() + self.intercept)


def _vectorizing(vectorizer: Any) -> Callable[[list[str]], list[tuple[Array, Array]]]:
    """A function from n texts to the numbers of the terms of each, and their values, as the fitted vectorizer gives
    them. A TfidfVectorizer itself needs half a millisecond for one text, most of it to check its own arrays."""
    if type(vectorizer) is not TfidfVectorizer or vectorizer.dtype != np.float64:
        return lambda texts: _rows_of(csr_matrix(vectorizer.transform(texts)))
    analyze, vocabulary = vectorizer.build_analyzer(), vectorizer.vocabulary_
    idf = vectorizer.idf_ if vectorizer.use_idf else None
    weighting = Weighting(vectorizer.binary, vectorizer.sublinear_tf, vectorizer.norm, idf)

    def vector(text: str) -> tuple[Array, Array]:
        counts = Counter(vocabulary[term] for term in analyze(text) if term in vocabulary)
        terms = np.fromiter(counts, np.int64, len(counts))
        return terms, weighting.values(terms, np.fromiter(counts.values(), np.float64, len(counts)))

    return lambda texts: list(map(vector, texts))


def _rows_of(matrix: Any) -> list[tuple[Array, Array]]:
    return [
        (matrix.indices[start:end], matrix.data[start:end]) for start, end in itertools.pairwise(matrix.indptr.tolist())
    ]


def _texts(X: Any) -> list[str | None]:
    """The texts of n rows, a null as None."""
    X = as_pandas(X)
    if isinstance(X, pd.DataFrame):
        if "text" not in X.columns:
            raise ValueError(f"X has no column 'text'; its columns are {', '.join(map(str, X.columns))}.")
        X = X["text"]
    values: Iterable[Any] = X.tolist() if isinstance(X, pd.Series | np.ndarray) else list(X)
    odd = [value for value in values if not isinstance(value, str) and not _is_null(value)]
    if odd:
        raise ValueError(f"X holds a {type(odd[0]).__name__} where a text is expected.")
    return [value if isinstance(value, str) else None for value in values]


def _is_null(value: Any) -> bool:
    return value is None or value is pd.NA or value != value  # noqa: PLR0124 - NaN is the one that differs from itself
