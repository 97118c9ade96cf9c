"""The reference profile: the distribution of each column and each output over the training rows. It is part of the
manifest, so that drift can be measured without the training data."""

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd

from serialize.formats.datetimes import seconds
from serialize.formats.words import Vocabulary, words
from serialize.frame import scalars
from serialize.signature import Column, Scalar, Signature
from serialize.task import Outputs, Task

_BINS = 10
_MOST_TEXTS = 20_000
_WORDS_OF_PROSE = 4
_FEW = 20
_SAFE = 1e100
_QUANTILES = np.linspace(0.0, 1.0, 101)


def profile_columns(signature: Signature, table: pd.DataFrame) -> dict[str, Any]:
    """By column name: the number of rows, the share of nulls, and the distribution of the other values: of numbers
    (with a count per value if they have few distinct values), of categories and booleans, of the lengths of texts in
    characters, or of datetimes in seconds since 1970. Texts of four words or more on average also have a vocabulary,
    and the distribution of the share of words that it lacks."""
    return {column.name: _column(column, table[column.name]) for column in signature}


def profile_outputs(task: Task, outputs: Outputs) -> dict[str, Any]:
    """The distribution of the positive class's probability (binary), of each label's (multiclass, by label), or of
    the predicted value, from outputs of shape (n, n_classes) or (n, 1)."""
    if task.kind == "binary":
        return {"proba": _numbers(outputs[:, task.positive_index])}
    if task.kind == "multiclass":
        return {"probas": {str(label): _numbers(outputs[:, i]) for i, label in enumerate(task.classes)}}
    return {"predicted_value": _numbers(outputs[:, 0])}


def no_profile(signature: Signature, task: Task) -> dict[str, Any]:
    """The profile of a model whose training rows are not known: 0 rows, and no outputs."""
    columns = {column.name: {"count": 0, "null_rate": 0.0} for column in signature}
    return {"columns": columns, "outputs": {"probas": {}} if task.kind == "multiclass" else {}}


def _column(column: Column, series: "pd.Series[Any]") -> dict[str, Any]:
    present: list[Any] = [value for value in scalars(series) if value is not None]
    basis = {"count": len(series), "null_rate": 1.0 - len(present) / len(series)}
    if column.kind in ("category", "boolean"):
        counts: Counter[Scalar] = Counter(present)
        known = column.categories or (False, True)
        return {**basis, "counts": [{"value": value, "count": counts[value]} for value in known]}
    if not present:
        return basis
    if column.kind == "text":
        texts = list(map(str, present))
        return {**basis, "lengths": _numbers(np.array(list(map(len, texts)), dtype=float)), **_vocabulary(texts)}
    if column.kind == "datetime":
        present = [seconds(value) for value in present]
    return {**basis, **_few(present), **_numbers(np.array(present, dtype=float))}


def _vocabulary(texts: list[str]) -> dict[str, Any]:
    """The vocabulary of at most 20,000 of the texts as one string, the least number of texts that each of its words is
    in, and the distribution of the share of unknown words. Empty for texts that are not prose."""
    chosen = [texts[place] for place in np.unique(np.linspace(0, len(texts) - 1, _MOST_TEXTS).astype(int))]
    if sum(len(words(text)) for text in chosen) < _WORDS_OF_PROSE * len(chosen):
        return {}
    vocabulary = Vocabulary.of(chosen)
    return {
        "vocabulary": " ".join(vocabulary.words),
        "least_texts": vocabulary.least_texts,
        "unknown_words": _numbers(np.array(vocabulary.unknown_shares)),
    }


def _few(present: list[Any]) -> dict[str, Any]:
    """The count of each value, if there are at most twenty distinct ones: percentiles describe those badly."""
    counts = Counter(present)
    if len(counts) > _FEW:
        return {}
    return {"values": [{"value": value, "count": counts[value]} for value in sorted(counts)]}


def _numbers(values: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, Any]:
    """Percentiles, mean, standard deviation, and the counts in at most ten bins of about equal count. Bin i holds the
    values from edges[i] up to but without edges[i + 1]; the last bin includes its upper edge."""
    scale = _scale(values)
    quantiles = np.quantile(values / scale, _QUANTILES) * scale
    edges = np.unique(quantiles[:: len(_QUANTILES) // _BINS])
    counts, _ = np.histogram(values, bins=edges) if len(edges) > 1 else ([len(values)], edges)
    return {
        "mean": float((values / scale).mean() * scale),
        "std": float((values / scale).std() * scale),
        "quantiles": [float(quantile) for quantile in quantiles],
        "bins": {"edges": [float(edge) for edge in edges], "counts": [int(count) for count in counts]},
    }


def _scale(values: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """A power of two to divide large values by, so that squares and sums do not overflow; 1 for ordinary values."""
    greatest = float(np.abs(values).max())
    return 1.0 if greatest < _SAFE else float(2.0 ** int(np.log2(greatest)))
