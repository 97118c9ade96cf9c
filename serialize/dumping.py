"""Writes a fitted pipeline as an artifact, after it has checked that the service can answer as the pipeline does."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from serialize.artifact import Artifact
from serialize.declarations import Bounds, Declarations, strictness
from serialize.display.progress import Progress
from serialize.display.summary import how_it_answers
from serialize.display.text import printable
from serialize.errors import DumpError
from serialize.folder import TRAINING, refuse_foreign_files
from serialize.frame import as_array, as_table, observations, targets
from serialize.infer_signature import infer_signature
from serialize.infer_task import final_name, infer_task, one_per_output
from serialize.model import Model
from serialize.quality.evaluation import Vector, class_counts, encode
from serialize.quality.measurement import Measurement
from serialize.reference_profile import no_profile
from serialize.signature import Scalar
from serialize.task import Label
from serialize.training.data import keep
from serialize.writing.steps import Rows, describe, files_of, write


def dump(
    pipeline: Any,
    X_train: Any,
    y_train: Any,
    directory: str | Path,
    *,
    name: str | None = None,
    threshold: float | None = None,
    positive_class: Label | None = None,
    bounds: Bounds | None = None,
    categories: Mapping[str, Sequence[Scalar]] | Iterable[str] | None = None,
    text: Iterable[str] | None = None,
    nullable: Iterable[str] | None = None,
    accept_unseen: bool | Iterable[str] = (),
    columns: Sequence[str] | None = None,
    metrics: Mapping[str, Any] | str | None = None,
    cv: Any = None,
    groups: Any = None,
    cv_seconds: float = 60.0,
    importances: bool = True,
    reference: bool = True,
    include_training_data: bool = False,
) -> Artifact:
    """Write a fitted classifier or regressor as an artifact that the service can serve, and verify it.

    `X_train` holds the n rows that the pipeline was fitted on: a DataFrame or Series of pandas, polars or Arrow, an
    array of shape (n, k) or (n,), or a list. `y_train` holds the targets, of shape (n,); if it is None, nothing is
    measured, and arguments that ask for it are refused. The signature (kinds, nulls, categories) is inferred from all
    n rows. The service shows `name`. `threshold` and `positive_class` are for two classes: an observation belongs to
    the positive class if its probability is at least the threshold. Without a threshold the pipeline decides, and its
    `predict` must follow from its probabilities. `bounds` gives inclusive limits per column of numbers or datetimes,
    (low, high) with None for no limit. `categories` restricts columns to the values in the training rows, or to the
    values given; `text` accepts any string in a column; `nullable` lists columns that may be null although no training
    row has a null; `accept_unseen` lists columns with categories that accept other values too, as long as the pipeline
    can answer them, and True lists all of them. `columns` names the columns of an array. At the end, standard error
    gets a line about the compiled form, and a note which columns refuse unseen values or nulls.

    Clones of the pipeline are fitted on folds of the rows and scored on the others, which takes as long as fitting it
    five times. `cv` (a number, a splitter or (train, test) index arrays), `groups` of shape (n,) and `cv_seconds` are
    those of `serialize.cross_validate`: give TimeSeriesSplit() for rows in the order of time. A pipeline that cannot
    be fitted again, and rows that are too few, are scored in-sample. `metrics` replaces this: numbers by name, the
    result of `cross_validate`, "in-sample" (the training rows are scored), or "none". The manifest says how the
    figures were made. `importances=False` leaves out the importance of the columns. `reference=False` is for rows that
    are not like the training rows: drift is then not measured against them. `include_training_data=True` keeps the rows
    and targets in the artifact, so that the pipeline can be fitted again on them and on labelled rows of the log:
    `Artifact.training_data()` gives them back. Who has the artifact then has the data.

    The artifact is written next to `directory`, read back in a new process, and its golden rows are verified there.
    Only then does it replace the content of `directory`. Raises DumpError for a model or data that cannot be served;
    the message says what to do, and `directory` is unchanged."""
    target = Path(directory).resolve()
    refuse_foreign_files(target)
    measurement = Measurement(metrics, cv, groups, cv_seconds, importances)
    if y_train is None:
        measurement.refuse_without_targets()
        if include_training_data:
            raise DumpError("include_training_data needs y_train, which is None; give the targets, or leave it out.")
    task = infer_task(pipeline, threshold=threshold, positive_class=positive_class)
    with Progress() as progress:
        progress.stage("Reading the training rows")
        container, table = as_table(X_train, columns)
        dtype = str(as_array(X_train).dtype) if container == "array" else None
        declared = Declarations.of(bounds, categories, text, nullable, accept_unseen)
        signature = infer_signature(container, table, dtype, declared)
        model = Model(pipeline, task, signature)
        truth = None if y_train is None else _truth(model, targets(y_train, len(table), one_per_output(pipeline)))
        progress.stage("Scoring the training rows")
        rows = Rows(X_train, table, observations(table))
        manifest, outputs = describe(name or final_name(pipeline), model, rows)
        if not reference:
            manifest = replace(manifest, profile=no_profile(signature, task))
        counts = {} if truth is None else class_counts(task, truth)
        kept = {TRAINING: keep(X_train, y_train, signature)} if include_training_data else {}
        progress.stage("Compiling")
        files, answering = files_of(model, rows)
        figures = measurement.metrics_of(model, X_train, y_train, truth, outputs, progress)
        shares = measurement.importances_of(model, table, truth, progress)
        manifest = replace(manifest, metrics=figures, importances=shares, class_counts=counts, **answering)
        progress.stage("Writing the artifact, and verifying it in a new process")
        artifact = write(manifest, {**files, **kept}, target)
    sys.stderr.write(f"compiled: {printable(how_it_answers(artifact.manifest))}\n{strictness(signature)}")
    return artifact


def _truth(model: Model, y: Vector) -> Vector:
    return encode(model.task, y, getattr(model.pipeline, "classes_", ()))
