"""The words of text columns at run time: scikit-learn's own functions split a text into terms, and the weights that
the model gives to the terms are added up. It calls no linear algebra library, which might start threads."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Self

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Weighting:
    """How counts become the values of terms, as TfidfTransformer calculates them: `norm` is l1, l2 or None, and `idf`,
    of shape (m,), multiplies the value of each term."""

    binary: bool = False
    sublinear: bool = False
    norm: str | None = None
    idf: Array | None = None

    @property
    def is_count(self) -> bool:
        """Whether the values are the counts themselves, or ones."""
        return not self.sublinear and self.norm is None and self.idf is None

    def values(self, found: Array, counts: Array) -> Array:
        """The values of the terms with the indices `found` in one text, from their counts; both of shape (k,)."""
        values = np.ones_like(counts) if self.binary else counts
        if self.sublinear:
            values = 1.0 + np.log(values)
        if self.idf is not None:
            values = values * self.idf[found]
        if self.norm is None:
            return values
        length = np.sqrt(np.square(values).sum()) if self.norm == "l2" else np.abs(values).sum()
        return values / (length or 1.0)


@dataclass(frozen=True, slots=True)
class Analysis:
    """How the texts of a column become terms: the parameters of a vectorizer's analyzer, as JSON text, and whether
    null is an empty text. Without that, a null is refused."""

    column: str
    parameters: str
    null_is_empty: bool

    def analyzer(self) -> Callable[[str | None], Sequence[str]]:
        """A function from a text to its terms. It raises ValueError for a null that is refused."""
        vectorizer = CountVectorizer(**json.loads(self.parameters))
        analyze = _word_analyzer(vectorizer) if vectorizer.analyzer == "word" else vectorizer.build_analyzer()

        def terms(text: str | None) -> Sequence[str]:
            if text is None and not self.null_is_empty:
                raise ValueError(f"The model cannot score null in column {self.column!r}.")
            found: Sequence[str] = analyze(text or "")
            return found

        return terms


@dataclass(frozen=True, slots=True, eq=False)
class FoldedWords:
    """A vocabulary of m terms, and `weights` of shape (m, c): what each term adds to c sums, whose numbers are `sums`.
    Several vocabularies may add to one sum."""

    analysis: Analysis
    vocabulary: Mapping[str, int]
    weighting: Weighting
    weights: Array
    sums: list[int]

    def added(self, terms: Sequence[str]) -> Array:
        """What the terms of one text add to the sums, of shape (c,)."""
        indices = np.fromiter(map(self.vocabulary.get, terms, repeat(-1)), np.int64, len(terms))
        found, counts = np.unique(indices[indices >= 0], return_counts=True)
        values = self.weighting.values(found, counts.astype(np.float64))
        total: Array = np.einsum("i,ij->j", values, self.weights.take(found, axis=0))
        return total

    def to_json(self) -> dict[str, Any]:
        """The words as JSON."""
        analysis, weighting = self.analysis, self.weighting
        return {
            "column": analysis.column,
            "analyzer": analysis.parameters,
            "null_is_empty": analysis.null_is_empty,
            "terms": sorted(self.vocabulary, key=self.vocabulary.__getitem__),
            "binary": weighting.binary,
            "sublinear": weighting.sublinear,
            "norm": weighting.norm,
            "idf": None if weighting.idf is None else _encoded(weighting.idf),
            "weights": _encoded(self.weights),
            "sums": self.sums,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The words back from `to_json`."""
        vocabulary = {term: index for index, term in enumerate(data["terms"])}
        idf = None if data["idf"] is None else _decoded(data["idf"])
        weighting = Weighting(data["binary"], data["sublinear"], data["norm"], idf)
        weights = _decoded(data["weights"]).reshape(len(vocabulary), len(data["sums"]))
        analysis = Analysis(data["column"], data["analyzer"], data["null_is_empty"])
        return cls(analysis, vocabulary, weighting, weights, data["sums"])


class Texts:
    """The sums over the terms of each observation's texts. A text is analyzed once for all vocabularies that take the
    same terms of it."""

    def __init__(self, words: Sequence[FoldedWords]) -> None:
        groups: dict[Analysis, list[FoldedWords]] = {}
        for each in words:
            groups.setdefault(each.analysis, []).append(each)
        self.columns = [analysis.column for analysis in groups]
        self._groups = [(analysis.analyzer(), group) for analysis, group in groups.items()]
        self._height = 1 + max((number for each in words for number in each.sums), default=-1)

    def tensor(self, columns: Sequence[Sequence[Any]]) -> Array:
        """The sums of n observations, of shape (sums, n), from the n texts of each of `self.columns`."""
        sums = np.zeros((self._height, len(columns[0])))
        for (analyze, group), texts in zip(self._groups, columns, strict=True):
            for row, text in enumerate(texts):
                terms = analyze(text)
                for words in group:
                    sums[words.sums, row] += words.added(terms)
        return sums


def _word_analyzer(vectorizer: CountVectorizer) -> Callable[[str], list[str]]:
    """The terms that `build_analyzer()` gives for words, in less time: n words are joined without slicing a list."""
    preprocess, tokenize = vectorizer.build_preprocessor(), vectorizer.build_tokenizer()
    stop_words, (shortest, longest) = vectorizer.get_stop_words(), vectorizer.ngram_range

    def terms(text: str) -> list[str]:
        words = tokenize(preprocess(text))
        if stop_words is not None:
            words = [word for word in words if word not in stop_words]
        found = list(words) if shortest == 1 else []
        for size in range(max(shortest, 2), longest + 1):
            found += map(" ".join, zip(*(words[start:] for start in range(size)), strict=False))
        return found

    return terms


def _encoded(numbers: Array) -> str:
    return base64.b64encode(np.ascontiguousarray(numbers, dtype="<f8").tobytes()).decode()


def _decoded(text: str) -> Array:
    return np.frombuffer(base64.b64decode(text), dtype="<f8")
