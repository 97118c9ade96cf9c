"""A recipe for any table with a target column: chooses a pipeline for its columns, and reports columns that are
probably useless in a model."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import Any, Literal

import numpy as np
import pandas as pd
from pandas.api import types
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder, StandardScaler

from serialize.errors import DumpError, one_line
from serialize.recipes.csv_file import CsvFile
from serialize.recipes.data_files import DataFiles
from serialize.recipes.recipe import Recipe
from serialize.task import Label
from serialize.transformers import datetime_numbers, documents, null_blind_one_hot

ModelName = Literal["logistic", "forest", "boosting"]
TaskName = Literal["classification", "regression"]

_MAX_LABELS = 20
_WORDS_OF_PROSE = 4


def from_csv(
    file: str | Path | CsvFile | DataFiles,
    target: str,
    *,
    name: str | None = None,
    drop: Sequence[str] = (),
    drop_null_target: bool = False,
    strings: Sequence[str] = (),
    model: ModelName = "logistic",
    task: TaskName | None = None,
    threshold: float | None = None,
    positive_class: Label | None = None,
    declared: Mapping[str, Any] | None = None,
    dates: Sequence[str] = (),
) -> Recipe:
    """A recipe for the rows of one file or several: CSV with a header, Parquet, Arrow or NDJSON. `model` is a logistic
    regression (ridge if the target is a number), a random forest, or histogram gradient boosting; `positive_class`
    may be a label's text. The columns `strings` of CSV are read as text, so that 00012 keeps its zeros, and the
    columns `dates` are parsed as ISO 8601. Raises DumpError for a file that is not a table, for a missing column,
    for a column that holds no dates, and for a target that cannot be learned; rows without a target are left out if
    `drop_null_target`, and refused otherwise."""
    files = _files(file)
    rows = files.table(strings)
    files.require(list(rows.columns), (target, *drop, *dates))
    rows, left_out = _labelled(files, rows, target, drop_null_target)
    X, y = rows.drop(columns=[target, *drop]), rows[target]
    for column in dates:
        if column not in X.columns:
            raise DumpError(f"{column!r} is the target or dropped; --dates is for the other columns.")
    X = X.assign(**{column: _dates(X[column]) for column in dates})
    if not len(X.columns):
        raise DumpError(f"{files} has no column except {target!r} to learn from; drop fewer columns.")
    kind = task or _task(y)
    if kind == "regression" and not types.is_numeric_dtype(y):
        raise DumpError(f"{target!r} holds no numbers; choose the task classification, or another target.")
    if kind == "classification":
        y = _labels(y)
    return Recipe(
        name=name or files.name,
        pipeline=_pipeline(X, model, kind),
        X=X,
        y=y,
        threshold=threshold,
        positive_class=_label(positive_class, y),
        declared=dict(declared or {}),
        notes=(*left_out, *remarks(X), *_lost_zeros(files, rows[[*X.columns, target]])),
    )


def _files(file: str | Path | CsvFile | DataFiles) -> DataFiles:
    if isinstance(file, DataFiles):
        return file
    return DataFiles((file if isinstance(file, CsvFile) else CsvFile(file),))


def remarks(X: pd.DataFrame) -> list[str]:
    """One sentence for each column that looks like an identifier or never varies."""
    found = []
    for name in X.columns:
        distinct = X[name].nunique()
        if distinct <= 1 and not (distinct and X[name].isna().any()):
            found.append(f"{name} is the same in every row, so it is useless to the model; --drop {quote(name)}?")
        elif distinct == len(X) and not _varies(X[name]):
            found.append(f"{name} differs in every row, as an identifier does; --drop {quote(name)}?")
    return found


def _labelled(
    files: DataFiles, rows: pd.DataFrame, target: str, drop_null_target: bool
) -> tuple[pd.DataFrame, list[str]]:
    """The rows with a target, and a note on the number of those without. Raises DumpError if they may not be left
    out, and if no row has a target."""
    missing = rows[target].isna()
    count = int(missing.sum())
    if not count:
        return rows, []
    if count == len(rows):
        raise DumpError(f"{target!r} is null in every row of {files}; choose another target.")
    if not drop_null_target:
        raise DumpError(
            f"{target!r} is null in {count} rows of {files}; remove these rows, or leave them out with "
            "--drop-null-target."
        )
    found = rows[~missing].reset_index(drop=True)
    found[target] = found[target].infer_objects()  # booleans with nulls are objects
    return found, [f"{count} rows without {target} were left out."]


def _lost_zeros(files: DataFiles, rows: pd.DataFrame) -> list[str]:
    """One sentence for each column of numbers whose leading zeros were lost."""
    numbers = [name for name in rows.columns if types.is_numeric_dtype(rows[name])]
    return [
        f"{name} has numbers with leading zeros, such as 00012, and they are lost; --string {quote(name)} keeps them?"
        for name in files.with_leading_zeros(numbers)
    ]


def _varies(column: "pd.Series[Any]") -> bool:
    """Whether a column may differ in every row although it is no identifier: floats, dates and prose."""
    return types.is_float_dtype(column) or _is_dates(column) or _is_prose(column)


def _is_dates(column: "pd.Series[Any]") -> bool:
    return types.is_datetime64_any_dtype(column) or types.infer_dtype(column, skipna=True) == "date"


def _dates(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """A column of ISO 8601 texts as datetimes, or as dates if no text has a time. Texts with several offsets become
    UTC. Raises DumpError for any other text."""
    texts = column.dropna().astype(str)
    try:
        if len(texts) and texts.str.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}").all():
            return pd.to_datetime(column, format="%Y-%m-%d").dt.date.astype(object).where(column.notna(), None)
        if types.is_numeric_dtype(column) and len(texts):
            raise ValueError(f"{texts.iloc[0]} is a number")
        try:
            return pd.to_datetime(column, format="ISO8601")
        except ValueError:
            return pd.to_datetime(column, format="ISO8601", utc=True)
    except ValueError as error:
        raise DumpError(
            f"Column {column.name!r} cannot be read as dates ({one_line(error)}); write ISO 8601, such as 2024-05-31 "
            "or 2024-05-31T12:30:00."
        ) from error


def _label(text: Label | None, y: "pd.Series[Any]") -> Label | None:
    """The label of the target whose text is given, such as 1 for "1" and True for "true"."""
    if not isinstance(text, str):
        return text
    if types.is_bool_dtype(y):
        return {"true": True, "1": True, "false": False, "0": False}.get(text.lower(), text)
    by_text: dict[str, Label] = {str(label): label for label in y.unique().tolist()}
    return by_text.get(text, text)


def _task(y: "pd.Series[Any]") -> TaskName:
    if types.is_bool_dtype(y) or not types.is_numeric_dtype(y):
        return "classification"
    whole = bool((y == y.round()).all())
    return "classification" if whole and y.nunique() <= _MAX_LABELS else "regression"


def _labels(y: "pd.Series[Any]") -> "pd.Series[Any]":
    """The labels: those of a 0/1 target as booleans, whole numbers as integers."""
    if types.is_numeric_dtype(y) and set(y.unique()) == {0, 1}:
        return y.astype(bool)
    if types.is_float_dtype(y) and (y == y.round()).all():
        return y.astype(int)
    return y


def _pipeline(X: pd.DataFrame, model: ModelName, task: TaskName) -> Pipeline:
    dates = [name for name in X.columns if _is_dates(X[name])]
    others = [name for name in X.columns if name not in dates]
    strings = [name for name in others if not types.is_numeric_dtype(X[name]) and not _is_flag(X[name])]
    prose = [name for name in strings if _is_prose(X[name])]
    short = [name for name in strings if name not in prose]
    numbers = [name for name in others if name not in strings and X[name].notna().any()]
    steps: list[tuple[str, Any, Any]] = [("numbers", _numbers(model), numbers)] if numbers else []
    if dates:
        steps.append(("dates", make_pipeline(FunctionTransformer(datetime_numbers), _numbers(model)), dates))
    if short and model == "boosting":
        ordinal = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
        steps.append(("categories", ordinal, short))
    elif short:
        steps.append(("categories", null_blind_one_hot(X[short]), short))
    for number, name in enumerate(prose):
        words = make_pipeline(FunctionTransformer(documents), TfidfVectorizer(max_features=1000))
        steps.append((f"prose {number}", words, [name]))
    columns = ColumnTransformer(steps, sparse_threshold=0.0 if model == "boosting" else 0.3)
    return make_pipeline(columns, _estimator(model, task))


def _is_flag(column: "pd.Series[Any]") -> bool:
    return bool(column.dropna().map(lambda value: isinstance(value, bool | np.bool_)).all())


def _is_prose(column: "pd.Series[Any]") -> bool:
    """Whether a column holds sentences: many distinct values of several words each."""
    present = column.dropna()
    if types.is_numeric_dtype(column) or _is_flag(column) or present.nunique() <= _MAX_LABELS:
        return False
    return float(present.map(lambda text: len(str(text).split())).mean()) >= _WORDS_OF_PROSE


def _numbers(model: ModelName) -> Any:
    if model == "boosting":
        return "passthrough"
    imputed = SimpleImputer(strategy="median", keep_empty_features=True)
    return make_pipeline(imputed, StandardScaler()) if model == "logistic" else imputed


def _estimator(model: ModelName, task: TaskName) -> Any:
    classes = task == "classification"
    if model == "logistic":
        return LogisticRegression(max_iter=1000) if classes else Ridge()
    if model == "forest":
        forest = RandomForestClassifier if classes else RandomForestRegressor
        return forest(n_estimators=200, min_samples_leaf=2, random_state=0)
    return (HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor)(random_state=0)
