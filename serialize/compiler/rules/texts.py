"""The rules of steps that split or hash texts: a fitted step, at a path, and the columns before it."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from serialize.compiler.builder import Builder
from serialize.compiler.rules.arithmetic import numbers
from serialize.compiler.runtime.native import Path, step_at
from serialize.compiler.values import NoRule, Parts, Raw, Terms
from serialize.signature import Column
from serialize.transformers import documents

_CALLABLES = ("preprocessor", "tokenizer", "analyzer", "strip_accents")
_ANALYZER = ("strip_accents", "lowercase", "stop_words", "token_pattern", "ngram_range", "analyzer")
_HASHED_NULL = {"nan": "nan", "na": "<NA>", "none": None}  # as text; None is not counted


def _terms(builder: Builder, path: Path, step: Any, value: Raw) -> Parts:
    """The terms of a column of texts, which steps before may have made of a column with nulls. Functions of the user's
    own are called for each text. Raises NoRule or ValueError for other columns."""
    before = [step_at(builder.model.pipeline, link["path"]) for link in value.links if "path" in link]
    if len(value.columns) != 1 or value.columns[0].accepted != "text" or len(before) != len(value.links):
        raise NoRule("The input is not one column of texts.")
    if any(getattr(each, "func", None) is not documents for each in before):
        raise NoRule("Another step makes the texts.")
    (column,) = value.columns
    if column.dtype.startswith("<U"):
        raise NoRule("numpy drops NUL characters at the end of such a string.")
    given = {"column": column.name, "null_is_empty": bool(before), **_counting(step)}
    if _has_own_function(step):
        given |= {"path": list(path), "step": type(step).__name__}
        register = builder.add("native_terms", builder.column(column.name), **given)
    else:
        register = builder.add("terms", builder.column(column.name), analyzer=_analyzer(step), **given)
    return _weighted_terms(builder, step, register, bool(step.binary))


def _hashed(builder: Builder, _: Path, step: Any, value: Raw) -> Parts:
    """HashingEncoder of category_encoders: how many texts of a row have each hash value, modulo the number of
    components, and the other columns after them. Raises NoRule for columns that are no texts, or that the encoder
    leaves out or changes first."""
    names = [column.name for column in value.columns]
    texts = [column for name in step.cols for column in value.columns if column.name == name]
    if value.links or step.drop_invariant or getattr(step, "min_group_size", None) is not None:
        raise NoRule("It changes the columns first, or leaves out some of them.")
    if len(texts) != len(step.cols) or not all(map(_is_text, texts)):
        raise NoRule("The columns are no texts.")
    nulls = [_HASHED_NULL[column.null] for column in texts]
    given = {"method": step.hash_method, "width": int(step.n_components), "nulls": nulls}
    hashed = builder.parts(builder.add("hash_counts", *(builder.column(column.name) for column in texts), **given))
    others = [place for place, name in enumerate(names) if name not in step.cols]
    return hashed if not others else Parts((*hashed.parts, *numbers(builder, value.chosen(others)).parts), None)


def _is_text(column: Column) -> bool:
    """Whether all values are strings or null, as the pipeline gets them."""
    known = column.categories or ()
    is_text = column.accepted == "text" or (bool(known) and all(isinstance(each, str) for each in known))
    return is_text and column.null in _HASHED_NULL and not column.dtype.startswith("<U")  # numpy drops NUL at the end


def _weighted_terms(builder: Builder, step: Any, register: int, binary: bool = False) -> Parts:
    given = _weighting(step, binary=binary)
    return builder.terms(register if given is None else builder.add("weighted", register, **given))


def reweighted(builder: Builder, step: Any, value: Parts) -> Parts:
    """All terms of one column, weighted."""
    (part,) = value.parts
    if not isinstance(part, Terms) or not part.is_whole:
        raise NoRule("These are not the terms of one column.")
    return _weighted_terms(builder, step, part.register)


def _counting(vectorizer: Any) -> dict[str, Any]:
    """How `texts.Terms` counts the terms of a vectorizer. Raises ValueError for input and for terms that are not text,
    and for values of another type than 64-bit integers and doubles."""
    if vectorizer.input != "content":
        raise ValueError(f"Its input is {vectorizer.input!r}.")
    if np.dtype(vectorizer.dtype) not in (np.int64, np.float64):
        raise ValueError(f"Its dtype is {np.dtype(vectorizer.dtype)}.")
    if not hasattr(vectorizer, "vocabulary_"):
        sign = bool(vectorizer.alternate_sign)
        return {"hashed": int(vectorizer.n_features), "alternate_sign": sign}
    if not all(type(term) in (str, np.str_) for term in vectorizer.vocabulary_):
        raise ValueError("Its vocabulary has terms that are no strings.")
    places = {str(term): int(place) for term, place in vectorizer.vocabulary_.items()}
    return {"vocabulary": sorted(places, key=places.__getitem__)}


def _weighting(step: Any, *, binary: bool) -> dict[str, Any] | None:
    """The parameters of `texts.weighted` for a vectorizer or a TfidfTransformer, None if counts stay."""
    idf = np.asarray(step.idf_, dtype=np.float64) if getattr(step, "use_idf", False) else None
    found = {
        "binary": binary,
        "sublinear": bool(getattr(step, "sublinear_tf", False)),
        "norm": getattr(step, "norm", None),
        "idf": idf,
    }
    return found if any(each is not None and each is not False for each in found.values()) else None


def _has_own_function(vectorizer: Any) -> bool:
    """Whether a function of the user's own takes part in splitting a text."""
    return any(callable(getattr(vectorizer, option)) for option in _CALLABLES)


def _analyzer(vectorizer: Any) -> str:
    """The parameters that say how a text is split into terms, as JSON text."""
    chosen = {option: getattr(vectorizer, option) for option in _ANALYZER}
    stop_words = chosen["stop_words"]
    if stop_words is not None and not isinstance(stop_words, str):
        chosen["stop_words"] = sorted(map(str, stop_words))
    shortest, longest = map(int, chosen["ngram_range"])
    return json.dumps({**chosen, "lowercase": bool(chosen["lowercase"]), "ngram_range": [shortest, longest]})


OF_TEXTS: dict[str, Callable[[Builder, Path, Any, Raw], Parts]] = {
    **dict.fromkeys(("CountVectorizer", "TfidfVectorizer", "HashingVectorizer"), _terms),
    "HashingEncoder": _hashed,
}
