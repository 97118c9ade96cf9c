"""The parameters of a fitted text vectorizer as data, for the instructions that count terms and weigh them."""

import json
from typing import Any

import numpy as np

_CALLABLES = ("preprocessor", "tokenizer", "analyzer", "strip_accents")
_ANALYZER = ("strip_accents", "lowercase", "stop_words", "token_pattern", "ngram_range", "analyzer")


def counting(vectorizer: Any) -> dict[str, Any]:
    """The parameters of `texts.Terms` but for the column. Raises ValueError for a custom function, for input
    that is not text, and for values of another type than 64-bit integers and doubles."""
    analyzer = _analyzer(vectorizer)
    if not hasattr(vectorizer, "vocabulary_"):
        sign = bool(vectorizer.alternate_sign)
        return {"analyzer": analyzer, "hashed": int(vectorizer.n_features), "alternate_sign": sign}
    places = {str(term): int(place) for term, place in vectorizer.vocabulary_.items()}
    return {"analyzer": analyzer, "vocabulary": sorted(places, key=places.__getitem__)}


def weighting(step: Any, *, binary: bool) -> dict[str, Any] | None:
    """The parameters of `texts.weighted` for a vectorizer or a TfidfTransformer, None if counts stay."""
    idf = np.asarray(step.idf_, dtype=np.float64) if getattr(step, "use_idf", False) else None
    found = {
        "binary": binary,
        "sublinear": bool(getattr(step, "sublinear_tf", False)),
        "norm": getattr(step, "norm", None),
        "idf": idf,
    }
    return found if any(each is not None and each is not False for each in found.values()) else None


def _analyzer(vectorizer: Any) -> str:
    custom = [option for option in _CALLABLES if callable(getattr(vectorizer, option))]
    if custom:
        raise ValueError(f"It has a custom {custom[0]}.")
    if vectorizer.input != "content":
        raise ValueError(f"Its input is {vectorizer.input!r}.")
    if np.dtype(vectorizer.dtype) not in (np.int64, np.float64):
        raise ValueError(f"Its dtype is {np.dtype(vectorizer.dtype)}.")
    chosen = {option: getattr(vectorizer, option) for option in _ANALYZER}
    stop_words = chosen["stop_words"]
    if stop_words is not None and not isinstance(stop_words, str):
        chosen["stop_words"] = sorted(map(str, stop_words))
    shortest, longest = map(int, chosen["ngram_range"])
    return json.dumps({**chosen, "lowercase": bool(chosen["lowercase"]), "ngram_range": [shortest, longest]})
