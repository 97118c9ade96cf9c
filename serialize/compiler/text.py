"""Text vectorizers while a model is compiled: each term of the vocabulary is a feature, and the weights that an
estimator gives to the terms are folded into one table."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from serialize.compiler.features import Feature, NoCompiledForm, Words
from serialize.compiler.graph import Array
from serialize.compiler.text_runtime import Analysis, FoldedWords, Weighting

_MOST_CELLS = 20_000_000
_CALLABLES = ("preprocessor", "tokenizer", "analyzer", "strip_accents")
_ANALYZER = ("strip_accents", "lowercase", "stop_words", "token_pattern", "ngram_range", "analyzer")


def vectorized(vectorizer: Any, features: list[Feature]) -> list[Feature]:
    """The terms of a fitted CountVectorizer or TfidfVectorizer, in the order of its matrix. Raises NoCompiledForm for
    a custom function in it, and for input that is not one column of texts."""
    (feature,) = features if len(features) == 1 else (None,)
    name = type(vectorizer).__name__
    if feature is None:
        raise NoCompiledForm(f"A {name} of {len(features)} columns has no compiled form.")
    if feature.coded:
        return [feature] * len(vectorizer.vocabulary_)
    _refuse_other_input(name, feature)
    words = Words(
        Analysis(feature.column.name, _parameters(vectorizer), null_is_empty=bool(feature.operations)),
        {str(term): int(index) for term, index in vectorizer.vocabulary_.items()},
        _weighting(vectorizer, binary=bool(vectorizer.binary)),
    )
    return _terms(feature, words)


def reweighted(transformer: Any, features: list[Feature]) -> list[Feature]:
    """The terms after a fitted TfidfTransformer that directly follows a CountVectorizer. Raises NoCompiledForm for any
    other input."""
    words = features[0].words if features else None
    counted = words is not None and words.weighting.is_count
    whole = [(words, index, ()) for index in range(len(words.vocabulary) if words else 0)]
    if words is None or not counted or [(each.words, each.term, each.operations) for each in features] != whole:
        raise NoCompiledForm("A TfidfTransformer has a compiled form only after a CountVectorizer of one text column.")
    weighting = _weighting(transformer, binary=words.weighting.binary)
    return _terms(features[0], Words(words.analysis, words.vocabulary, weighting))


@dataclass(slots=True)
class TextSums:
    """The sums over terms that the graph takes as input, and the weights that are folded for them."""

    count: int = 0
    folded: dict[Words, list[tuple[list[int], Array]]] = field(default_factory=dict)

    def add(self, terms: "Terms", weights: Array) -> list[int]:
        """The numbers of c new sums: of the terms times their `weights`, of shape (k, c). Raises NoCompiledForm if all
        weights take more than 160 MB."""
        sums = list(range(self.count, self.count + weights.shape[1]))
        self.count += len(sums)
        for words in dict.fromkeys(terms.words):
            own = [place for place, each in enumerate(terms.words) if each is words]
            table = np.zeros((len(words.vocabulary), len(sums)))
            np.add.at(table, terms.indices[own], weights[own] * terms.factors[own, None])
            self.folded.setdefault(words, []).append((sums, table))
        if sum(table.size for blocks in self.folded.values() for _, table in blocks) > _MOST_CELLS:
            raise NoCompiledForm("The vocabularies are too large to fold the weights of the model into them.")
        return sums

    def joined(self) -> list[FoldedWords]:
        """The words with all weights that were folded."""
        return [
            FoldedWords(
                words.analysis,
                words.vocabulary,
                words.weighting,
                np.hstack([table for _, table in blocks]),
                [number for sums, _ in blocks for number in sums],
            )
            for words, blocks in self.folded.items()
        ]


@dataclass(frozen=True, slots=True)
class Terms:
    """The k terms among the features of a matrix, at `places`: their words, and their indices there and the factors
    that multiply them, both of shape (k,)."""

    places: list[int]
    words: list[Words]
    indices: Array
    factors: Array

    @property
    def column(self) -> str:
        """The column that the first term belongs to."""
        return self.words[0].analysis.column


def terms_of(features: Sequence[Feature]) -> Terms | None:
    """The terms among features, None if there are none."""
    found = [(place, feature) for place, feature in enumerate(features) if feature.words]
    if not found:
        return None
    return Terms(
        [place for place, _ in found],
        [feature.words for _, feature in found if feature.words],
        np.array([feature.term for _, feature in found]),
        np.array([_factor(feature) for _, feature in found]),
    )


def _terms(feature: Feature, words: Words) -> list[Feature]:
    return [replace(feature, operations=(), words=words, term=term) for term in range(len(words.vocabulary))]


def _factor(feature: Feature) -> float:
    """The number that a scaler multiplies a term by."""
    factor = 1.0
    for name, operand in feature.operations:
        factor = factor * operand if name == "Mul" else factor / operand
    return factor


def _refuse_other_input(name: str, feature: Feature) -> None:
    """Raises NoCompiledForm for a feature that is no text, and for one that steps other than `documents` changed."""
    column, steps = feature.column, [step for step, _ in feature.operations]
    if column.accepted != "text" or feature.words or steps not in ([], ["documents"]):
        raise NoCompiledForm(f"The {name} of column {column.name!r} has no compiled form after the steps before it.")
    if column.dtype.startswith("<U"):  # numpy drops NUL characters at the end of such a string
        raise NoCompiledForm(f"The {name} of column {column.name!r} has no compiled form for strings of fixed length.")


def _parameters(vectorizer: Any) -> str:
    """The parameters of the analyzer as JSON text. Raises NoCompiledForm for a custom function, for input that is not
    text, and for values of another type than 64-bit integers and doubles."""
    name = type(vectorizer).__name__
    for option in _CALLABLES:
        if callable(getattr(vectorizer, option)):
            raise NoCompiledForm(f"A {name} with a custom {option} has no compiled form.")
    if vectorizer.input != "content":
        raise NoCompiledForm(f"A {name} with input={vectorizer.input!r} has no compiled form.")
    if np.dtype(vectorizer.dtype) not in (np.int64, np.float64):
        raise NoCompiledForm(f"A {name} with dtype {np.dtype(vectorizer.dtype)} has no compiled form.")
    chosen = {option: getattr(vectorizer, option) for option in _ANALYZER}
    stop_words = chosen["stop_words"]
    if stop_words is not None and not isinstance(stop_words, str):
        chosen["stop_words"] = sorted(map(str, stop_words))
    shortest, longest = map(int, chosen["ngram_range"])
    return json.dumps({**chosen, "lowercase": bool(chosen["lowercase"]), "ngram_range": [shortest, longest]})


def _weighting(step: Any, *, binary: bool) -> Weighting:
    """The weighting of a TfidfVectorizer or TfidfTransformer; that of a CountVectorizer is the counts."""
    if not hasattr(step, "use_idf"):
        return Weighting(binary)
    idf = np.asarray(step.idf_, dtype=np.float64) if step.use_idf else None
    if idf is not None and not np.isfinite(idf).all():
        raise NoCompiledForm("A vocabulary with a term of infinite weight has no compiled form.")
    return Weighting(binary, bool(step.sublinear_tf), step.norm, idf)
