"""A compiled model over texts gives the outputs of its pipeline, and calls no step of it but one with functions of its
own."""

import itertools
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from category_encoders import HashingEncoder
from hypothesis import given, settings
from hypothesis import strategies as st
from lightgbm import LGBMClassifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.naive_bayes import BernoulliNB, ComplementNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, Normalizer, OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from xgboost import XGBClassifier

from serialize import dump, load
from serialize.compiler import builder as builder_module
from serialize.compiler.runtime.compiled_model import CompiledModel
from serialize.model import Model
from serialize.recipes.csv import from_csv
from serialize.transformers import documents
from tests.serialize.compiler.support import answer, assert_compiles, model_of
from tests.serialize.compiler.support import compiled as compiled_with_calls

ROWS = 60
SUBJECTS = {
    "ships": "harbour sail anchor the captain",
    "crops": "wheat field the harvest",
    "stars": "orbit comet Ünit the",
}
NASTY = [
    "",
    " ",
    "the",
    "the and of",
    "nan",
    "zzz qqq",
    "harbour " * 50,
    "HARBOUR Harbour harbour",
    "ünit Ünit u\u0308nit U\u0308NIT",
    "sail\0anchor sail\0",
    "🚢 sail 🚢🚢",
    "مرحبا sail שלום",
    "\u202esail",
    "ﬁeld field",
    "İstanbul \u0131stanbul straße STRASSE",
    "a b c d",
    "wheat\n\nfield\twheat\r\n field",
    "sail-anchor_sail",
    "½ Ⅷ 10 ٣",
    "x" * 2_000,
    "e\u0301" * 100,
]


@cache
def articles() -> pd.DataFrame:
    """Articles of three subjects with a title, a text, a length and a place; the column `note` has nulls."""
    random = np.random.default_rng(0)
    rows = []
    for number in range(ROWS):
        words = list(SUBJECTS.values())[number % 3].split() + [f"word{i}" for i in range(30)]
        title, text = (" ".join(random.choice(words, size)) for size in (4, 25))
        rows.append((title, f"{text} {number}", float(number % 7), ("north", "south")[number % 2]))
    table = pd.DataFrame(rows, columns=["title", "text", "length", "place"])
    return table.assign(note=table["title"].where(table.index % 5 > 0, None))


def subjects() -> Any:
    return np.array(list(SUBJECTS))[np.arange(ROWS) % 3]


def by_column(**vectorizers: Any) -> ColumnTransformer:
    return ColumnTransformer([(name, vectorizer, name) for name, vectorizer in vectorizers.items()])


def sections(estimator: Any) -> Any:
    """The pipeline that chooses a section by title and text."""
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    return make_pipeline(by_column(title=TfidfVectorizer(), text=words), estimator)


def logistic() -> LogisticRegression:
    return LogisticRegression(max_iter=500)


def compiled(model: Model, rows: Any, native: tuple[str, ...] = ()) -> CompiledModel:
    """The compiled form; the test fails if it calls other steps of the pipeline than these."""
    fast = compiled_with_calls(model, rows)
    assert tuple(fast.native) == native
    return fast


def assert_is_compiled(
    pipeline: Any, X: Any, y: Any, native: tuple[str, ...] = (), texts: list[str] | None = None
) -> None:
    """Asserts that the fitted pipeline compiles, and gives equal outputs for training rows and for other texts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model, rows = model_of(pipeline.fit(X, y), X)
        fast = compiled(model, rows, native)
        np.testing.assert_allclose(fast.outputs(rows), model.outputs(rows), rtol=1e-12, atol=1e-12)
        names = [column.name for column in model.signature if column.accepted == "text"]
        new = [{**rows[0], **dict.fromkeys(names, text)} for text in texts or [*NASTY, *SUBJECTS.values()]]
        theirs, ours = model.outputs(new), fast.outputs(new)
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)
        alone = np.vstack([fast.outputs([row]) for row in new])
        np.testing.assert_allclose(alone, ours, rtol=1e-14, atol=1e-14)


def assert_equal_for(texts: list[str], model: Model, fast: CompiledModel) -> None:
    """Asserts equal outputs for each text in every column, alone and in one batch."""
    rows = [dict.fromkeys(model.signature.names, text) for text in texts]
    theirs, ours = model.outputs(rows), fast.outputs(rows)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)
    alone = np.vstack([fast.outputs([row]) for row in rows])
    np.testing.assert_allclose(alone, ours, rtol=1e-14, atol=1e-14)


ESTIMATORS: dict[str, Any] = {
    "logistic regression": logistic(),
    "a calibrated support vector machine": CalibratedClassifierCV(LinearSVC(), ensemble=False, cv=3),
    "calibrated folds": CalibratedClassifierCV(LinearSVC(), ensemble=True, cv=5),
    "calibrated logistic regressions": CalibratedClassifierCV(logistic(), cv=2),
    "stochastic gradient descent": SGDClassifier(loss="log_loss", random_state=0),
    "perceptron": MLPClassifier((5,), max_iter=5, random_state=0),
    "multinomial Bayes": MultinomialNB(),
    "complement Bayes": ComplementNB(),
    "Bernoulli Bayes": BernoulliNB(),
    "Bernoulli Bayes above a share": BernoulliNB(binarize=0.2),
    "projection": make_pipeline(TruncatedSVD(5, random_state=0), logistic()),
    "projection, then trees": make_pipeline(TruncatedSVD(5, random_state=0), RandomForestClassifier(5)),
    "forest": RandomForestClassifier(5, random_state=0),
    "xgboost": XGBClassifier(n_estimators=5, n_jobs=1),
    "lightgbm": LGBMClassifier(n_estimators=5, n_jobs=1, verbose=-1, min_child_samples=3),
    "vote": VotingClassifier([("a", logistic()), ("b", LogisticRegression(C=0.1))], voting="soft"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ESTIMATORS)
def test_each_estimator_compiles_over_two_text_columns(name: str) -> None:
    assert_is_compiled(sections(ESTIMATORS[name]), articles()[["title", "text"]], np.arange(ROWS) % 3)


def test_two_classes_and_a_regression_compile() -> None:
    X = articles()[["title", "text"]]
    for estimator in (logistic(), CalibratedClassifierCV(LinearSVC(), ensemble=False, cv=3)):
        assert_is_compiled(sections(estimator), X, subjects() == "ships")
    assert_is_compiled(sections(Ridge()), X, np.arange(ROWS) / 7)


@pytest.mark.parametrize("container", [list, np.array, pd.Series])
def test_a_vectorizer_of_one_text_column_compiles(container: Any) -> None:
    texts = container(articles()["text"].tolist())
    assert_is_compiled(make_pipeline(TfidfVectorizer(), logistic()), texts, subjects())


def test_documents_beside_numbers_and_categories_compile(tmp_path: Path) -> None:
    articles().assign(subject=subjects()).to_csv(tmp_path / "articles.csv", index=False)
    recipe = from_csv(str(tmp_path / "articles.csv"), "subject", model="logistic")
    names = [name for name, *_ in recipe.pipeline[0].transformers]
    assert names == ["numbers", "categories", "prose 0", "prose 1", "prose 2"]
    assert_compiles(recipe.pipeline, recipe.X, recipe.y)


def test_the_weights_of_the_parts_compile() -> None:
    X = articles()[["title", "text", "length", "place"]]
    parts = [
        ("title", TfidfVectorizer(), "title"),
        ("text", make_union(TfidfVectorizer(), CountVectorizer()), "text"),
        ("numbers", StandardScaler(), ["length"]),
        ("places", OneHotEncoder(), ["place"]),
    ]
    weights = {"title": 2.5, "numbers": 0.5, "places": 3.0}
    columns = ColumnTransformer(parts, transformer_weights=weights)
    parts[1][1].set_params(transformer_weights={"countvectorizer": 0.1})
    assert_is_compiled(make_pipeline(columns, logistic()), X, subjects())


OPTIONS: dict[str, Any] = {
    "binary": TfidfVectorizer(binary=True),
    "sublinear": TfidfVectorizer(sublinear_tf=True),
    "l1": TfidfVectorizer(norm="l1"),
    "no norm": TfidfVectorizer(norm=None),
    "no idf": TfidfVectorizer(use_idf=False),
    "rough idf": TfidfVectorizer(smooth_idf=False),
    "case": TfidfVectorizer(lowercase=False),
    "Unicode accents": TfidfVectorizer(strip_accents="unicode"),
    "ASCII accents": TfidfVectorizer(strip_accents="ascii"),
    "English stop words": TfidfVectorizer(stop_words="english"),
    "own stop words": TfidfVectorizer(stop_words=["wheat", "the"]),
    "own pattern": TfidfVectorizer(token_pattern=r"(?u)\b(\w)\w*\b"),
    "pairs only": TfidfVectorizer(ngram_range=(2, 3)),
    "characters": TfidfVectorizer(analyzer="char", ngram_range=(1, 3)),
    "characters within words": TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), lowercase=False),
    "few terms": TfidfVectorizer(max_features=9),
    "own vocabulary": TfidfVectorizer(vocabulary={"sail": 1, "wheat": 0, "comet": 2}),
    "frequent terms": TfidfVectorizer(min_df=2, max_df=0.5),
    "counts": CountVectorizer(),
    "counts of doubles": CountVectorizer(dtype=np.float64, binary=True),
    "counts, then weights": make_pipeline(CountVectorizer(), TfidfTransformer(sublinear_tf=True)),
    "words and characters": make_union(TfidfVectorizer(), CountVectorizer(analyzer="char")),
    "selected terms": make_pipeline(TfidfVectorizer(), SelectKBest(k=9)),
    "terms of unit length": make_pipeline(CountVectorizer(), Normalizer()),
    "terms of unit height": make_pipeline(CountVectorizer(), Normalizer("max")),
    "logarithms": make_pipeline(CountVectorizer(), FunctionTransformer(np.log1p, accept_sparse=True)),
    "imputed terms": make_pipeline(TfidfVectorizer(max_features=9), SimpleImputer()),
    "weights, then weights": make_pipeline(TfidfVectorizer(norm=None), TfidfTransformer()),
    "joint weights": make_pipeline(make_union(CountVectorizer(), CountVectorizer(analyzer="char")), MaxAbsScaler()),
    "selected and scaled": make_pipeline(CountVectorizer(), SelectKBest(k=9), StandardScaler(with_mean=False)),
    "hashed": HashingVectorizer(n_features=2**10),
    "hashed to few": HashingVectorizer(n_features=8, norm="l1"),
    "hashed without signs": HashingVectorizer(n_features=64, alternate_sign=False, norm=None),
    "hashed pairs, binary": HashingVectorizer(n_features=16, binary=True, ngram_range=(1, 2)),
    "hashed, then weights": make_pipeline(HashingVectorizer(n_features=64, alternate_sign=False), TfidfTransformer()),
    "scaled terms": make_pipeline(TfidfVectorizer(), MaxAbsScaler(), StandardScaler(with_mean=False)),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_each_option_of_a_vectorizer_compiles_and_is_equal_for_nasty_texts(name: str) -> None:
    texts = articles()["text"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model, rows = model_of(make_pipeline(OPTIONS[name], logistic()).fit(texts, subjects()), texts)
        assert_equal_for([*NASTY, *texts[:3]], model, compiled(model, rows))


@cache
def section_model() -> tuple[Model, CompiledModel]:
    X = articles()[["title", "text"]]
    model, rows = model_of(sections(CalibratedClassifierCV(LinearSVC(), cv=2)).fit(X, subjects()), X)
    return model, compiled(model, rows)


KNOWN = st.sampled_from([*" ".join(SUBJECTS.values()).split(), "word1", "Word1", " ", "\0", "\u0308"])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.one_of(st.text(), st.lists(KNOWN).map(" ".join)), min_size=1, max_size=5))
def test_random_texts_get_the_outputs_of_the_pipeline_alone_and_in_a_batch(texts: list[str]) -> None:
    assert_equal_for(texts, *section_model())


def test_texts_of_200_000_characters_get_the_outputs_of_the_pipeline() -> None:
    many = " ".join(f"word{number}" for number in range(20_000))
    assert_equal_for(["wheat field " * 17_000, "x" * 200_000, many], *section_model())


def test_a_null_is_refused_by_a_vectorizer_and_is_an_empty_text_after_documents() -> None:
    X = articles()[["note"]].fillna("none")
    refusing = by_column(note=TfidfVectorizer())
    filling = ColumnTransformer([("note", make_pipeline(FunctionTransformer(documents), TfidfVectorizer()), ["note"])])
    for columns, refused in ((refusing, True), (filling, False)):
        model, rows = model_of(make_pipeline(columns, logistic()).fit(X, subjects()), X, nullable=["note"])
        fast = compiled(model, rows)
        null = {"note": None}
        np.testing.assert_allclose(answer(fast, null), answer(model, null), rtol=1e-12)
        assert bool(np.isnan(answer(fast, null)).all()) is refused


def test_a_text_column_of_few_values_is_tabulated() -> None:
    X = articles()[["place", "text"]]
    model, rows = model_of(make_pipeline(by_column(place=TfidfVectorizer()), logistic()).fit(X, subjects()), X)
    assert model.signature.columns[0].accepted == "category"
    assert_compiles(make_pipeline(by_column(place=TfidfVectorizer()), logistic()), X, subjects())
    assert compiled(model, rows).outputs(rows[:1]).shape == (1, 3)


def test_folds_with_vectorizers_of_their_own_compile() -> None:
    texts = articles()["text"]
    folds = CalibratedClassifierCV(make_pipeline(TfidfVectorizer(), LinearSVC()), cv=3)
    assert_is_compiled(folds, texts, subjects())


def stemmed(text: str) -> str:
    return text[:4]


@pytest.mark.parametrize(
    "vectorizer",
    [
        TfidfVectorizer(preprocessor=stemmed),
        TfidfVectorizer(tokenizer=str.split),
        CountVectorizer(analyzer=str.split),
        HashingVectorizer(tokenizer=str.split, n_features=2**10),
    ],
)
def test_a_vectorizer_with_functions_of_its_own_is_called(vectorizer: Any) -> None:
    texts = [text for text in NASTY if "\0" not in text]
    pipeline = make_pipeline(vectorizer, logistic())
    assert_is_compiled(pipeline, articles()["text"], subjects(), (type(vectorizer).__name__,), texts)


@pytest.mark.parametrize("dtype", [object, "str", "category"])
@pytest.mark.parametrize("cols", [["note", "place"], ["note", "place", "title"]])
def test_columns_that_an_encoder_hashes_compile(dtype: Any, cols: list[str]) -> None:
    X = articles()[["length", "note", "place", "title"]].astype(
        {"place": dtype, "note": dtype if dtype != "category" else object}
    )
    X.loc[3, "place"] = None
    encoder = HashingEncoder(cols=cols, n_components=5, hash_method="sha1", max_process=1)
    chosen = X[[*cols, "length"]]
    assert_is_compiled(make_pipeline(encoder, logistic()), chosen, subjects())


def test_an_encoder_that_joins_rare_values_is_called() -> None:
    X = articles()[["place", "length"]].assign(place=["one" if i == 7 else f"town {i % 24}" for i in range(ROWS)])
    encoder = HashingEncoder(cols=["place"], max_process=1, min_group_size=2, min_group_name="others")
    assert_is_compiled(make_pipeline(encoder, logistic()), X, subjects(), ("HashingEncoder",))


def numbers_as_well(text: str) -> list[Any]:
    """The words of a text; a word with # is its length."""
    return [len(word) if word.startswith("#") else word for word in text.split()]


def test_terms_that_are_no_strings_are_refused_or_counted_as_the_pipeline_does() -> None:
    X, y = articles()["text"], subjects()
    hashing = make_pipeline(HashingVectorizer(analyzer=numbers_as_well, n_features=64), logistic()).fit(X, y)
    model, rows = model_of(hashing, X)
    fast = compiled(model, rows, ("HashingVectorizer",))
    for scorer in (model, fast):
        with pytest.raises((TypeError, ValueError)):
            scorer.outputs([{**rows[0], "text": "#harbour sail"}])

    words = TfidfVectorizer(
        analyzer=numbers_as_well, vocabulary=["harbour", "sail", "anchor", "wheat", "orbit", 8], lowercase=False
    )
    assert_is_compiled(make_pipeline(words, logistic()), X, y, ("TfidfVectorizer",), ["#harbour sail", "sail wheat"])


def test_a_million_hashed_terms_compile() -> None:
    assert_is_compiled(make_pipeline(HashingVectorizer(), Ridge(tol=1e-3)), articles()["text"], np.arange(ROWS) / 7)


def test_single_precision_is_calculated_by_the_steps() -> None:
    pipeline = make_pipeline(TfidfVectorizer(dtype=np.float32), logistic())
    assert_is_compiled(pipeline, articles()["text"], subjects(), ("TfidfVectorizer", "LogisticRegression"))


def test_an_estimator_without_a_rule_is_called_with_a_sparse_matrix() -> None:
    columns = make_column_transformer((TfidfVectorizer(), "title"), (StandardScaler(), ["length"]))
    X = articles()[["title", "length"]]
    assert_is_compiled(make_pipeline(columns, KNeighborsClassifier()), X, subjects(), ("KNeighborsClassifier",))
    selected = make_pipeline(columns, SelectKBest(k=9), KNeighborsClassifier())
    assert_is_compiled(selected, X, subjects(), ("KNeighborsClassifier",))


def test_joint_weights_of_two_columns_are_calculated_by_the_step() -> None:
    X = articles()[["title", "text"]]
    joint = make_pipeline(by_column(title=CountVectorizer(), text=CountVectorizer()), TfidfTransformer(), logistic())
    assert_is_compiled(joint, X, subjects(), ("TfidfTransformer",))


def test_dense_terms_compile() -> None:
    X = articles()[["title", "length"]]
    columns = make_column_transformer((TfidfVectorizer(), "title"), ("passthrough", ["length"]), sparse_threshold=0)
    assert_is_compiled(make_pipeline(columns, StandardScaler(), logistic()), X, subjects())


def test_strings_of_fixed_length_are_no_texts() -> None:
    fixed = np.array(articles()[["title", "text"]].to_numpy(), dtype=str)
    pipeline = make_pipeline(ColumnTransformer([("title", TfidfVectorizer(), 0)]), logistic()).fit(fixed, subjects())
    found = compiled_with_calls(*model_of(pipeline, fixed))
    assert found.native == ["TfidfVectorizer"]


def test_too_many_terms_do_not_become_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder_module, "_WIDEST", 10)
    X = articles()[["title"]]
    forest = make_pipeline(by_column(title=TfidfVectorizer()), RandomForestClassifier(3, random_state=0))
    assert_is_compiled(forest, X, subjects(), ("RandomForestClassifier",))


def test_nulls_and_new_texts_beside_numbers() -> None:
    X = articles()[["note", "length"]]
    words = make_pipeline(FunctionTransformer(documents), TfidfVectorizer())
    columns = make_column_transformer((words, ["note"]), (SimpleImputer(), ["length"]))
    for estimator in (logistic(), XGBClassifier(n_estimators=5, n_jobs=1)):
        y = np.arange(ROWS) % 2 if isinstance(estimator, XGBClassifier) else subjects()
        model, rows = model_of(make_pipeline(columns, estimator).fit(X, y), X)
        fast = compiled(model, rows)
        new = [{"note": text, "length": 2.5} for text in (None, "", "sail zzz Sail", "ünit 🚢", None)]
        for batch in (rows, new, *([row] for row in new)):
            np.testing.assert_allclose(fast.outputs(batch), model.outputs(batch), rtol=1e-12, atol=1e-12)


@pytest.mark.long  # dump starts a process
def test_an_artifact_of_texts_gives_the_outputs_after_loading(tmp_path: Path) -> None:
    X = articles()[["title", "text"]]
    pipeline = sections(logistic()).fit(X, subjects())
    dump(pipeline, X, subjects(), tmp_path / "artifact", metrics="in-sample")
    artifact = load(tmp_path / "artifact")
    assert artifact.compiled is not None
    rows = [{"title": first, "text": second} for first, second in itertools.pairwise(NASTY)]
    np.testing.assert_allclose(artifact.compiled.outputs(rows), pipeline.predict_proba(pd.DataFrame(rows)), rtol=1e-12)
