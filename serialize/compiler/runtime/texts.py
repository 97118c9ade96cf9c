"""The words of text columns at run time: scikit-learn's own functions split a text into terms. It calls no linear
algebra library, which might start threads."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.utils import murmurhash3_32

Array = np.ndarray[Any, Any]
Analyzer = Callable[[str], Sequence[Any]]  # from a text to its terms: strings, but for functions of the user's own


@dataclass(frozen=True, slots=True)
class Weighting:
    """How counts become the values of terms, as TfidfTransformer calculates them: `norm` is l1, l2 or None, and `idf`,
    of shape (m,), multiplies the value of each term."""

    binary: bool = False
    sublinear: bool = False
    norm: str | None = None
    idf: Array | None = None

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


class TermRows(NamedTuple):
    """The terms in n texts, as in a sparse matrix of shape (n, width): the places of the terms in it and their values,
    both of shape (k,), and where each text starts in them, of shape (n + 1,)."""

    places: Array
    values: Array
    starts: Array
    width: int

    @classmethod
    def of(cls, X: Any) -> Self:
        """A sparse matrix of scipy as terms."""
        X = csr_matrix(X)
        return cls(X.indices, X.data, X.indptr, X.shape[1])

    def matrix(self) -> Any:
        """The terms as a sparse matrix of scipy."""
        return csr_matrix((self.values, self.places, self.starts), shape=(len(self.starts) - 1, self.width))

    def owners(self) -> Array:
        """The number of the text that each term is in, of shape (k,)."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))


class Terms:
    """Counts the known terms in the n texts of a column, as `analyze` splits a text: those of a vocabulary, in the
    order of its matrix, or as many as `hashed` says, by their hash values. A null is an empty text, or is refused."""

    def __init__(
        self,
        analyze: Analyzer,
        column: str,
        null_is_empty: bool,
        vocabulary: Sequence[str] = (),
        hashed: int = 0,
        alternate_sign: bool = False,
    ) -> None:
        self._analyze, self._column, self._null_is_empty = analyze, column, null_is_empty
        self._place = {term: place for place, term in enumerate(vocabulary)}.get
        self._width = hashed or len(vocabulary)
        self._count = self._hashed if hashed else self._known
        self._alternate_sign = alternate_sign

    def __call__(self, column: Sequence[Any]) -> TermRows:
        places: list[int] = []
        counts: list[int] = []
        starts = [0]
        for text in column:
            if text is None and not self._null_is_empty:
                raise ValueError(f"The model cannot score null in column {self._column!r}.")
            found = self._count(self._analyze(text or ""))
            own = sorted(found)
            places += own
            counts += map(found.__getitem__, own)
            starts.append(len(places))
        return TermRows(np.array(places, np.intp), np.array(counts, np.float64), np.array(starts, np.intp), self._width)

    def _known(self, terms: Sequence[str]) -> Mapping[Any, int]:
        found = Counter(map(self._place, terms))
        found.pop(None, None)
        return found

    def _hashed(self, terms: Sequence[str]) -> Mapping[Any, int]:
        found: dict[int, int] = {}
        for term in terms:
            value = murmurhash3_32(term, seed=0)
            place = abs(value) % self._width
            found[place] = found.get(place, 0) + (-1 if value < 0 and self._alternate_sign else 1)
        return found


class TermsAsBlock:
    """The terms at k places as a block of shape (n, k)."""

    def __init__(self, width: int, chosen: Array) -> None:
        self._column = np.full(width, -1)
        self._column[chosen] = np.arange(len(chosen))
        self._chosen = len(chosen)

    def __call__(self, terms: TermRows) -> Array:
        block = np.zeros((len(terms.starts) - 1, self._chosen))
        column = self._column[terms.places]
        kept = column >= 0
        block[terms.owners()[kept], column[kept]] = terms.values[kept]
        return block


def weighted(terms: TermRows, *, binary: bool, sublinear: bool, norm: str | None, idf: Array | None) -> TermRows:
    """The terms with other values than their counts."""
    if len(terms.starts) == 2:
        return terms._replace(values=Weighting(binary, sublinear, norm, idf).values(terms.places, terms.values))
    values = Weighting(binary, sublinear, None, idf).values(terms.places, terms.values)
    if norm is not None:
        owners, count = terms.owners(), len(terms.starts) - 1
        size = np.square(values) if norm == "l2" else np.abs(values)
        length = np.bincount(owners, size, count)
        length = np.sqrt(length) if norm == "l2" else length
        values = values / np.where(length == 0, 1.0, length)[owners]
    return terms._replace(values=values)


def product_of_terms(terms: TermRows, *, weights: Array) -> Array:
    """The product with weights of shape (width, c)."""
    found: Array
    if len(terms.starts) == 2:
        found = np.einsum("i,ij->j", terms.values, weights.take(terms.places, axis=0))[None]
    else:
        found = terms.matrix() @ weights
    return found


def analyzer_of(parameters: str) -> Analyzer:
    """The analyzer of a vectorizer with these parameters, as JSON text."""
    vectorizer = CountVectorizer(**json.loads(parameters))
    analyze: Analyzer = _word_analyzer(vectorizer) if vectorizer.analyzer == "word" else vectorizer.build_analyzer()
    return analyze


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
