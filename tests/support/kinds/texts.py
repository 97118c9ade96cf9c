"""Kinds of pipelines of a free text."""

from sklearn.compose import make_column_transformer
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.support.kinds.data import NUMBERS, texts, two_classes
from tests.support.kinds.libraries import lightgbm, xgboost
from tests.support.kinds.steps import SEED, Kinds, logistic


def _with_numbers(final: object) -> object:
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    return make_pipeline(make_column_transformer((TfidfVectorizer(), "text"), (numbers, NUMBERS)), final)


TEXTS: Kinds = {
    "TF-IDF and numbers": lambda: (_with_numbers(logistic()), two_classes(*NUMBERS, "text")),
    "TF-IDF": lambda: (make_pipeline(TfidfVectorizer(), logistic()), texts()),
    "TF-IDF of pairs of words": lambda: (make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), logistic()), texts()),
    "TF-IDF of characters": lambda: (
        make_pipeline(TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4)), logistic()),
        texts(),
    ),
    "counts of words, naive Bayes": lambda: (make_pipeline(CountVectorizer(), MultinomialNB()), texts()),
    "hashed words": lambda: (make_pipeline(HashingVectorizer(n_features=2**12), logistic()), texts()),
    "TF-IDF by an own function": lambda: (make_pipeline(TfidfVectorizer(tokenizer=str.split), logistic()), texts()),
    "TF-IDF, SVD, lightgbm": lambda: (
        make_pipeline(TfidfVectorizer(), TruncatedSVD(10, **SEED), lightgbm()),
        texts(),
    ),
    "TF-IDF and numbers, xgboost": lambda: (_with_numbers(xgboost()), two_classes(*NUMBERS, "text")),
}
