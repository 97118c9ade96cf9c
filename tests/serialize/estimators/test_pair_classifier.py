"""The classifier of pairs answers as a logistic regression of two authors would, trains each pair once, and can be
dumped."""

import copy
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from serialize import dump, load
from serialize.errors import RefusedValue
from serialize.estimators import PairClassifier
from serialize.frame import observations

AUTHORS = ["Ann", "Ben", "Cem", "Dee", "Eve"]
WORDS = np.array([f"word{i}" for i in range(300)])
# Prints probabilities of several pairs; run with other kernels of OpenBLAS.
OF_KERNEL = """
import sys
from tests.serialize.estimators.test_pair_classifier import fitted, rows_of
sys.stdout.buffer.write(fitted().predict_proba(rows_of(50)).tobytes())
"""
# Asks for more pairs than the cache holds, from the threads of gevent's pool and from greenlets.
IN_GEVENT = """
from gevent import monkey; monkey.patch_all()
import gevent
from tests.serialize.estimators.test_pair_classifier import fitted, rows_of
import numpy as np
rows, model = rows_of(100), fitted(cache_size=2)
def asked(i):
    return model.predict_proba(rows.iloc[[i]])[0]
pending = [spawn(asked, i) for i in range(100) for spawn in (gevent.get_hub().threadpool.spawn, gevent.spawn)]
found = [each.get(timeout=30) for each in pending]
print(np.array_equal(found, np.repeat(fitted().predict_proba(rows), 2, axis=0)))
"""


def corpus(texts: int = 12, words: int = 30) -> tuple[list[str], list[str]]:
    """As many texts of each author, and their authors. Each author prefers other words; Dee has fewer texts."""
    random = np.random.default_rng(0)
    written, authors = [], []
    for author in AUTHORS:
        weights = np.exp(random.normal(0.0, 0.6, len(WORDS))) / np.arange(1, len(WORDS) + 1)
        for _ in range(texts - 4 if author == "Dee" else texts):
            written.append(" ".join(random.choice(WORDS, words, p=weights / weights.sum())))
            authors.append(author)
    return written, authors


TEXTS, BY = corpus()


def fitted(**options: Any) -> PairClassifier:
    return PairClassifier(**options).fit(TEXTS, BY)


def rows_of(number: int) -> pd.DataFrame:
    """Rows of many pairs, in which a and b are different authors."""
    random = np.random.default_rng(1)
    a = random.integers(0, len(AUTHORS), number)
    b = (a + random.integers(1, len(AUTHORS), number)) % len(AUTHORS)
    texts = [TEXTS[i] for i in random.integers(0, len(TEXTS), number)]
    return pd.DataFrame({"a": np.array(AUTHORS)[a], "b": np.array(AUTHORS)[b], "text": texts})


def row(a: Any, b: Any, text: Any = TEXTS[0]) -> pd.DataFrame:
    return pd.DataFrame({"a": [a], "b": [b], "text": [text]}, dtype=object)


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of texts of each logistic regression that is trained from here on."""
    trained: list[int] = []
    fit = LogisticRegression.fit

    def counted(self: LogisticRegression, X: Any, y: Any) -> Any:
        trained.append(X.shape[0])
        return fit(self, X, y)

    monkeypatch.setattr(LogisticRegression, "fit", counted)
    return trained


@pytest.mark.parametrize("C", [1.0, 10.0])
@pytest.mark.parametrize(("a", "b"), [("Ann", "Ben"), ("Eve", "Dee")])
def test_probabilities_equal_those_of_a_logistic_regression_of_the_two_authors(a: str, b: str, C: float) -> None:
    matrix = TfidfVectorizer(sublinear_tf=True).fit_transform(TEXTS).toarray()
    of_two = np.flatnonzero(np.isin(BY, [a, b]))
    by_hand = LogisticRegression(C=C, class_weight="balanced", solver="newton-cholesky", tol=1e-12)
    expected = by_hand.fit(matrix[of_two], np.array(BY)[of_two]).predict_proba(matrix)

    model = fitted(C=C)
    found = model.predict_proba(pd.DataFrame({"a": a, "b": b, "text": TEXTS}))

    assert by_hand.classes_.tolist() == sorted([a, b])
    assert found[:, [AUTHORS.index(each) for each in sorted([a, b])]] == pytest.approx(expected, abs=1e-9)


def test_a_row_has_two_probabilities_that_sum_to_one_in_either_order_of_the_authors() -> None:
    model, rows = fitted(), rows_of(60)

    probas = model.predict_proba(rows)
    turned = model.predict_proba(rows.rename(columns={"a": "b", "b": "a"}))

    assert probas.shape == (60, 5)
    assert np.array_equal(probas, turned)
    assert probas.sum(axis=1) == pytest.approx(1.0, abs=1e-12)
    for found, a, b in zip(probas, rows["a"], rows["b"], strict=True):
        assert set(np.flatnonzero(found)) == {AUTHORS.index(a), AUTHORS.index(b)}


def test_a_row_gets_the_same_bits_alone_and_among_others() -> None:
    model, rows = fitted(), rows_of(40)

    together = model.predict_proba(rows)

    assert all(np.array_equal(model.predict_proba(rows.iloc[[i]])[0], together[i]) for i in range(40))


class Plain(TfidfVectorizer):  # type: ignore[misc] # scikit-learn has no types
    """Not the very class that is vectorised in another way."""


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"sublinear_tf": True},
        {"norm": "l1", "ngram_range": (1, 2)},
        {"norm": None, "use_idf": False, "binary": True},
        {"analyzer": "char_wb", "max_features": 40},
        {"stop_words": ["word1", "word2"], "lowercase": False, "token_pattern": "[a-z]+[0-9]"},
        {"tokenizer": str.split, "token_pattern": None},
    ],
)
def test_a_text_is_vectorised_as_the_vectorizer_does(options: dict[str, Any]) -> None:
    rows = rows_of(40)
    rows.loc[0, "text"], rows.loc[1, "text"] = "", "WORD1 word1 unknown word1"

    found = PairClassifier(TfidfVectorizer(**options)).fit(*corpus()).predict_proba(rows)

    np.testing.assert_allclose(found, PairClassifier(Plain(**options)).fit(*corpus()).predict_proba(rows), atol=1e-13)


def test_the_author_of_a_training_text_is_predicted() -> None:
    others = ["Ben" if author == "Ann" else "Ann" for author in BY]

    predicted = fitted().predict(pd.DataFrame({"a": others, "b": BY, "text": TEXTS}))

    assert (predicted == BY).mean() > 0.95


def test_a_tie_goes_to_the_first_author() -> None:
    model = PairClassifier(min_texts=1).fit(["same text", "same text"], ["Ben", "Ann"])

    assert model.predict_proba(row("Ben", "Ann")).tolist() == [[0.5, 0.5]]
    assert model.predict(row("Ben", "Ann")).tolist() == ["Ann"]


@pytest.mark.parametrize("text", ["", " ", "neverseen"])
def test_a_text_without_a_known_word_is_answered(text: str) -> None:
    probas = fitted().predict_proba(row("Ann", "Ben", text))

    assert probas.sum() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("rows", "column", "expected"),
    [
        (row("Ann", "Ann"), "b", "another author than a"),
        (row("Zoe", "Ann"), "a", "one of the 5 authors of the model"),
        (row("Ann", None), "b", "one of the 5 authors of the model"),
        (row("Ann", "Flo"), "b", "an author with 5 texts or more (this one has 2)"),
        (row("Ann", "Ben", None), "text", "a text"),
        (row("Ann", "Ben", np.nan), "text", "a text"),
    ],
)
def test_a_value_that_cannot_be_scored_is_named(
    rows: pd.DataFrame, column: str, expected: str, fits: list[int]
) -> None:
    model = PairClassifier().fit([*TEXTS, "few words", "not many"], [*BY, "Flo", "Flo"])

    with pytest.raises(RefusedValue) as refused:
        model.predict_proba(pd.concat([row("Ann", "Ben"), rows], ignore_index=True))

    assert (refused.value.column, refused.value.expected) == (column, expected)
    assert model.too_few_ == {"Flo": 2}
    assert fits == []


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (TEXTS[:14], BY[:14], "1 of 2 authors have 5 texts or more, and two are needed"),
        (TEXTS, BY[1:], "give one author for each"),
        ([*TEXTS, None], [*BY, "Ann"], "1 texts or authors are null"),
        (TEXTS, [*BY[:-1], None], "1 texts or authors are null"),
        (list(range(len(BY))), BY, "holds a int where a text is expected"),
        (pd.DataFrame({"words": TEXTS}), BY, "no column 'text'; its columns are words"),
    ],
)
def test_fit_says_what_is_wrong_with_the_texts(X: Any, y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PairClassifier().fit(X, y)


@pytest.mark.parametrize("options", [{"min_texts": 0}, {"cache_size": 0}])
def test_fit_refuses_parameters_below_one(options: Any) -> None:
    with pytest.raises(ValueError, match="must be 1 or more"):
        fitted(**options)


@pytest.mark.parametrize(
    "X",
    [
        pd.Series(TEXTS),
        np.array(TEXTS),
        np.array(TEXTS, dtype=object),
        pd.DataFrame({"b": "Ann", "text": TEXTS, "other": 1}),
    ],
    ids=["series", "array", "objects", "frame"],
)
def test_texts_come_in_any_form(X: Any) -> None:
    model = PairClassifier().fit(X, pd.Series(BY))

    assert np.array_equal(model.predict_proba(rows_of(10)), fitted().predict_proba(rows_of(10)))
    assert model.classes_.tolist() == AUTHORS


def test_predict_needs_the_three_columns_and_a_fit() -> None:
    with pytest.raises(NotFittedError):
        PairClassifier().predict(row("Ann", "Ben"))
    with pytest.raises(ValueError, match="DataFrame with the columns a, b and text"):
        fitted().predict_proba(TEXTS)
    assert fitted().predict_proba(row("Ann", "Ben").iloc[:0]).shape == (0, 5)


def test_parameters_are_kept_by_a_clone() -> None:
    model = fitted(vectorizer=CountVectorizer(binary=True), C=3.0, min_texts=2, cache_size=7)

    copied = clone(model)

    assert copied.get_params(deep=False).keys() == {"vectorizer", "C", "min_texts", "cache_size"}
    assert (copied.C, copied.min_texts, copied.cache_size, copied.vectorizer.binary) == (3.0, 2, 7, True)
    assert not hasattr(copied, "classes_")
    assert copied.set_params(vectorizer__binary=False).get_params()["vectorizer__binary"] is False
    assert not hasattr(model.vectorizer, "vocabulary_")


def test_a_pickle_has_neither_the_lock_nor_the_trained_models() -> None:
    model, rows = fitted(), rows_of(20)
    before = len(pickle.dumps(model))

    expected = model.predict_proba(rows)

    assert len(pickle.dumps(model)) == before
    for copied in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert np.array_equal(copied.predict_proba(rows), expected)


def test_a_pair_is_trained_once_in_either_order(fits: list[int]) -> None:
    model = fitted()

    for a, b in [("Ann", "Dee"), ("Dee", "Ann"), ("Ann", "Dee")]:
        model.predict_proba(row(a, b))

    assert fits == [20]


def test_a_call_trains_each_of_its_pairs_once_whatever_the_size_of_the_cache(fits: list[int]) -> None:
    fitted(cache_size=1).predict_proba(rows_of(200))

    assert len(fits) == 10


def test_the_cache_forgets_the_pair_that_was_not_used_for_the_longest_time(fits: list[int]) -> None:
    model = fitted(cache_size=2)

    for b, trained in [("Ben", 1), ("Cem", 2), ("Ben", 2), ("Eve", 3), ("Ben", 3), ("Cem", 4)]:
        model.predict_proba(row("Ann", b))
        assert len(fits) == trained


def test_fifty_threads_that_ask_for_a_new_pair_train_it_once(fits: list[int]) -> None:
    model, together = fitted(), Barrier(50)

    def asked(_: int) -> Any:
        together.wait()
        return model.predict_proba(row("Ann", "Ben"))[0]

    with ThreadPoolExecutor(50) as threads:
        found = list(threads.map(asked, range(50)))

    assert len(fits) == 1
    assert len(np.unique(found, axis=0)) == 1


def test_threads_with_different_pairs_do_not_mix_their_models() -> None:
    rows = rows_of(100)
    expected, model = fitted().predict_proba(rows), fitted(cache_size=2)

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda i: model.predict_proba(rows.iloc[[i]])[0], range(100)))

    assert np.array_equal(found, expected)


@pytest.mark.long
def test_threads_and_greenlets_of_gevent_do_not_block_each_other() -> None:
    environment = {"PYTHONPATH": ":".join(sys.path)}
    ran = subprocess.run(
        [sys.executable, "-c", IN_GEVENT], env=environment, capture_output=True, text=True, check=True, timeout=60
    )

    assert ran.stdout == "True\n"


@pytest.mark.long
@pytest.mark.parametrize("kernel", ["Haswell", "Prescott"])
def test_other_kernels_of_the_linear_algebra_give_the_same_probabilities(kernel: str) -> None:
    environment = {"OPENBLAS_CORETYPE": kernel, "PYTHONPATH": ":".join(sys.path)}
    ran = subprocess.run([sys.executable, "-c", OF_KERNEL], env=environment, capture_output=True, check=True)

    found = np.frombuffer(ran.stdout).reshape(50, 5)

    assert found == pytest.approx(fitted().predict_proba(rows_of(50)), abs=1e-11)


@pytest.mark.parametrize("wrapped", [lambda model: model, make_pipeline], ids=["alone", "pipeline"])
@pytest.mark.usefixtures("in_this_process")
def test_it_is_dumped_with_held_out_metrics_and_importances(wrapped: Any, tmp_path: Path) -> None:
    X, model = pairs_of_training(), wrapped(PairClassifier()).fit(pairs_of_training(), BY)

    artifact = dump(model, X, BY, tmp_path / "pairs", categories=["a", "b"], text=["text"])

    manifest = artifact.manifest
    assert manifest.metrics["method"] == "5-fold cross-validation"
    assert 0.6 < manifest.metrics["metrics"]["accuracy"]["mean"] < 1.0
    assert {name: found["mean"] > 0.05 for name, found in manifest.importances["columns"].items()} == dict.fromkeys(
        ("a", "b", "text"), True
    )
    assert manifest.modules == ()
    assert "prediction-service" not in manifest.libraries


@pytest.mark.long
def test_a_new_process_verifies_it(tmp_path: Path) -> None:
    X = pairs_of_training()
    dump(fitted(), X, BY, tmp_path / "pairs", categories=["a", "b"], text=["text"], metrics="none", importances=False)

    served = load(tmp_path / "pairs").model.outputs(observations(X))

    assert served == pytest.approx(fitted().predict_proba(X), abs=1e-12)


def pairs_of_training() -> pd.DataFrame:
    """Each text with its author and another one, in either order."""
    random = np.random.default_rng(2)
    own = np.array([AUTHORS.index(author) for author in BY])
    other = (own + random.integers(1, len(AUTHORS), len(own))) % len(AUTHORS)
    first = random.random(len(own)) < 0.5
    names = np.array(AUTHORS)
    return pd.DataFrame(
        {"a": names[np.where(first, own, other)], "b": names[np.where(first, other, own)], "text": TEXTS}
    )
