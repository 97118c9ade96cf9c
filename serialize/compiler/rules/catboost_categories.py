"""The categories of CatBoost as numbers. A tree asks whether a column has a certain value, or compares a count: how
often a value had each target in training. A model that counts combinations of columns has no rule. The formulas are
those of CatBoost's export to Python.

CatBoost compares hashes of 32 bits, so about one unseen text in 4 billion counts as a given known text. Here every
unseen text counts as unseen."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from serialize.compiler.builder import Builder
from serialize.compiler.values import Array, Coded, NoRule, Raw
from serialize.signature import Column

Content = Mapping[str, Any]  # what CatBoost exports as JSON, or a part of it

_MULTIPLIER = 0x4906BA494954CB65
_WORD = 2**64 - 1
_EMPTY = str(_WORD)  # the key of a place in a table of counts that no value has


def known_values(builder: Builder, column: Column) -> list[str]:
    """The values of a column of texts in the training rows. Raises NoRule for another column."""
    found = {row[column.name] for row in builder.rows} - {None}
    texts = [value for value in found if isinstance(value, str)]
    if len(texts) < len(found):
        raise NoRule(f"Column {column.name!r} does not hold texts alone.")
    return sorted(texts)


def questions(builder: Builder, value: Raw, content: Content) -> tuple[list[Coded], list[int], list[int]]:
    """What the trees ask about the categories. First, a table for each column of categories: a row for each known value
    and one for all other values, a column for each question and each count. Then the places of the questions, and those
    of the counts, among the columns of all tables side by side; both in the order in which the model numbers them.
    Raises NoRule for counts without a rule, and for a value in the model that no training row has."""
    features = content["features_info"]
    counts: Sequence[Content] = features.get("ctrs", [])
    tables: list[Coded] = []
    asked_at: list[int] = []
    counted_at = [0] * len(counts)
    width = 0
    for feature in features["categorical_features"]:
        own = [n for n, count in enumerate(counts) if _category(count) == feature["feature_index"]]
        asked = feature.get("values", [])
        asked_at += range(width, width + len(asked))
        for place, n in enumerate(own, width + len(asked)):
            counted_at[n] = place
        width += len(asked) + len(own)
        if asked or own:
            column = value.columns[feature["flat_feature_index"]]
            tables.append(_table(builder, column, asked, [counts[n] for n in own], content))
    return tables, asked_at, counted_at


def _category(count: Content) -> int:
    """The number of the column that is counted."""
    if len(count["elements"]) != 1 or "cat_feature_index" not in count["elements"][0]:
        raise NoRule("A count of several columns has no rule.")
    return int(count["elements"][0]["cat_feature_index"])


def _table(
    builder: Builder, column: Column, asked: Sequence[int], counts: Sequence[Content], content: Content
) -> Coded:
    known = known_values(builder, column)
    hash_of = {each["value"]: each["hash"] for each in content["features_info"]["cat_features_hash"]}
    hashes = [_signed(hash_of[value]) for value in known]
    if len(set(hashes)) < len(hashes) or not set(asked) <= set(hashes):
        raise NoRule(f"The values of column {column.name!r} are not those that its trees ask for.")
    answers = [np.array([each == one for each in (*hashes, None)], dtype=np.float64) for one in asked]
    keys = [str(_MULTIPLIER * (_MULTIPLIER * each & _WORD) & _WORD) for each in hashes]
    answers += [_counted(count, content["ctr_data"][count["identifier"]], keys) for count in counts]
    codes = [[value, code] for code, value in enumerate(known)]
    register = builder.add("codes", builder.column(column.name), known=codes, refused=[None], unseen=len(known))
    return Coded(register, np.column_stack(answers))


def _signed(word: int) -> int:
    """An unsigned number of 32 bits as a signed one."""
    return word - 2**32 if word >= 2**31 else word


def _counted(count: Content, data: Content, keys: Sequence[str]) -> Array:
    """What a tree compares, for each key and for a value without one. CatBoost calculates it in single precision."""
    stride, given = data["hash_stride"], data["hash_map"]
    table = {given[at]: given[at + 1 : at + stride] for at in range(0, len(given), stride) if given[at] != _EMPTY}
    if not table.keys() <= set(keys):
        raise NoRule("A value that CatBoost has counted is in no training row.")
    rows = [*(table.get(key) for key in keys), None]
    part, whole = np.array([_ratio(count, row, data["counter_denominator"]) for row in rows], dtype=np.float32).T
    ratio = (part + np.float32(count["prior_numerator"])) / (whole + np.float32(count["prior_denomerator"]))
    compared: Array = (ratio + np.float32(count["shift"])) * np.float32(count["scale"])
    return compared.astype(np.float64)


def _ratio(count: Content, row: Sequence[float] | None, total: float) -> tuple[float, float]:
    """The numerator and the denominator of a count, before the prior is added."""
    if count["ctr_type"] == "Counter":
        return (row[0] if row else 0), total
    if row is None:
        return 0, 0
    border = count["target_border_idx"]
    match count["ctr_type"]:
        case "Borders":
            return sum(row[border + 1 :]), sum(row)
        case "Buckets":
            return row[border], sum(row)
        case "BinarizedTargetMeanValue":
            return row[0], row[1]
    raise NoRule(f"The count {count['ctr_type']} has no rule.")
