"""Adopts the original app's model: its pipeline and dtypes become an artifact that answers as the original app did."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np
import pandas as pd
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from serialize.artifact import Artifact
from serialize.declarations import Declarations
from serialize.dumping import dump
from serialize.errors import DumpError, one_line
from serialize.frame import as_table, observations
from serialize.infer_signature import infer_signature
from serialize.infer_task import infer_task
from serialize.model import Model
from serialize.original.dtypes import Dtypes, converted, dtypes_of, holds_null, holds_text, is_object
from serialize.original.files import DTYPES, OriginalFiles
from serialize.original.made_up import made_up_rows
from serialize.original.same_answers import check_same_answers
from serialize.original.targets import targets_of
from serialize.original.unpickling import unpickled_dtypes, unpickled_pipeline
from serialize.recipes.csv_file import CsvFile
from serialize.recipes.data_file import is_csv, read_table
from serialize.signature import Signature
from serialize.task import Task
from serialize.transformers import known_categories

_NO_COLUMNS = Signature("frame", ())


@dataclass(frozen=True, slots=True)
class Original:
    """The fitted pipeline of the original app, its task, and the dtype of each column."""

    pipeline: Any
    task: Task
    dtypes: Dtypes


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows to learn the signature from, with the dtypes of the original, their targets if there are any, further
    arguments of `dump`, whether the rows are made up, and notes for the user."""

    X: pd.DataFrame
    y: "pd.Series[Any] | None"
    declared: Mapping[str, Any]
    are_made_up: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Adopted:
    """The artifact, and the number of observations for which its pipeline answered as the original app did."""

    artifact: Artifact
    compared: int


def unpickle(files: OriginalFiles, threshold: float | None = None) -> Original:
    """Unpickles the files, which runs code of theirs. Raises DumpError for files that do not belong together or that
    cannot be served here."""
    dtypes = dtypes_of(unpickled_dtypes(files.dtypes), files.columns)
    pipeline = unpickled_pipeline(files.pipeline)
    return Original(pipeline, infer_task(pipeline, threshold=threshold), dtypes)


def rows_of_file(
    original: Original, file: CsvFile, strings: tuple[str, ...], target: str | None, declared: Mapping[str, Any]
) -> Rows:
    """The rows of a file: CSV, or by its ending Parquet or NDJSON. Raises DumpError for a file without a column of the
    original or the target, and for values that the dtypes or the model do not allow."""
    texts = [name for name, dtype in original.dtypes.items() if holds_text(dtype)]
    rows = read_table(file, [*strings, *texts])
    file.require(list(rows.columns), [*original.dtypes, *([target] if target else [])])
    notes = _notes_on_objects(original.dtypes, file, rows) if is_csv(file) else ()
    X = converted(rows, original.dtypes, str(file.path))
    if filled := [name for name in declared["nullable"] if not holds_null(original.dtypes.get(name))]:
        raise DumpError(f"{filled[0]!r} has the dtype {original.dtypes[filled[0]]} in {DTYPES}, which holds no null.")
    if target is None:
        return Rows(X, None, declared, notes=notes)
    if target in original.dtypes:
        raise DumpError(f"{target!r} is a column of the observations; name the column with what the model predicts.")
    y = targets_of(rows[target], original.pipeline, original.task, str(file.path))
    return Rows(X, y, declared, notes=notes)


def rows_made_up(original: Original) -> Rows:
    """A few made-up rows, for a model without data."""
    model = Model(original.pipeline, original.task, _NO_COLUMNS)
    X, declared = made_up_rows(original.dtypes, lambda frame: _why_not(model, frame))
    return Rows(X, None, declared, are_made_up=True)


def adopt(original: Original, rows: Rows, output: Path, *, name: str, threshold: float | None = None) -> Adopted:
    """Writes the artifact, after a check that it answers as the original app did. Raises DumpError as `dump`."""
    pipeline = _with_known_categories(original, rows.declared.get("accept_unseen", ()))
    signature = infer_signature(*as_table(rows.X), None, Declarations.of(**rows.declared))
    served, before = (Model(each, original.task, signature) for each in (pipeline, original.pipeline))
    compared = check_same_answers(served, before, original.dtypes, observations(rows.X))
    artifact = dump(
        pipeline,
        rows.X,
        rows.y,
        output,
        name=name,
        threshold=threshold,
        metrics="none" if rows.y is None else "in-sample",
        reference=not rows.are_made_up,
        **rows.declared,
    )
    return Adopted(artifact, compared)


def _notes_on_objects(dtypes: Dtypes, file: CsvFile, rows: pd.DataFrame) -> tuple[str, ...]:
    """One sentence for each column of objects of a CSV file without a text: the pipeline may have been fitted on texts
    that look like numbers. Raises DumpError for numbers with leading zeros, which are codes."""
    suspects = [name for name, dtype in dtypes.items() if is_object(dtype) and _holds_no_text(rows[name])]
    if codes := file.with_leading_zeros(suspects):
        raise DumpError(
            f"{codes[0]!r} holds numbers with leading zeros, and its dtype is object: give --string {quote(codes[0])}."
        )
    return tuple(
        f"{name!r} is a column of objects, and {file.path} has only numbers or booleans for it; if the original got "
        f"texts, give --string {quote(name)}."
        for name in suspects
    )


def _holds_no_text(column: "pd.Series[Any]") -> bool:
    present = column.dropna()
    return len(present) > 0 and not present.map(lambda value: isinstance(value, str)).any()


def _with_known_categories(original: Original, accept_unseen: Any) -> Any:
    """The pipeline; if a categorical column accepts unseen values, behind a step that makes nulls of them, as
    `astype` did in the original."""
    dtypes = {name: original.dtypes[name] for name in accept_unseen if name in original.dtypes}
    opened = {name: dtype for name, dtype in dtypes.items() if isinstance(dtype, pd.CategoricalDtype)}
    if not opened:
        return original.pipeline
    return make_pipeline(FunctionTransformer(known_categories, kw_args={"dtypes": opened}), original.pipeline)


def _why_not(model: Model, frame: pd.DataFrame) -> str | None:
    """The reason why the pipeline cannot answer a frame, or None."""
    try:
        outputs = model.outputs_of(frame)
    except Exception as error:  # noqa: BLE001 - any error is a reason
        return one_line(error)
    return None if np.isfinite(outputs).all() else "it answers NaN or infinity"
