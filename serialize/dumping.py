"""Writes a fitted pipeline as an artifact, after it has checked that the service can answer as the pipeline does."""

import hashlib
import json
import subprocess
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from serialize.artifact import Artifact, load
from serialize.checks.golden_rows import choose, telling_rows
from serialize.checks.rows import check_classes, check_rows
from serialize.declarations import Bounds, Declarations, strictness
from serialize.display.progress import Progress
from serialize.errors import DumpError
from serialize.figures import NONE
from serialize.folder import COMPILED, MANIFEST, PIPELINE, new_folder, refuse_foreign_files
from serialize.frame import as_array, as_table, observations, targets
from serialize.infer_signature import infer_signature
from serialize.infer_task import final_name, infer_task, one_per_output
from serialize.manifest import Manifest
from serialize.model import Model, training_outputs
from serialize.pickles import library_versions, modules_of, own_modules, pickled
from serialize.quality.evaluation import Vector, class_counts, encode
from serialize.quality.importances import no_importances
from serialize.quality.measurement import Measurement
from serialize.reference_profile import no_profile, profile_columns, profile_outputs
from serialize.signature import Scalar
from serialize.task import Label, Outputs

_VERIFIED_ROWS = 100_000
_FRESH_PROCESS = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from serialize.artifact import load; load(sys.argv[2]).verify_all()"
)


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
    gets a note which columns refuse unseen values or nulls.

    Clones of the pipeline are fitted on folds of the rows and scored on the others, which takes as long as fitting it
    five times. `cv` (a number, a splitter or (train, test) index arrays), `groups` of shape (n,) and `cv_seconds` are
    those of `serialize.cross_validate`: give TimeSeriesSplit() for rows in the order of time. A pipeline that cannot
    be fitted again, and rows that are too few, are scored in-sample. `metrics` replaces this: numbers by name, the
    result of `cross_validate`, "in-sample" (the training rows are scored), or "none". The manifest says how the
    figures were made. `importances=False` leaves out the importance of the columns. `reference=False` is for rows that
    are not like the training rows: drift is then not measured against them.

    The artifact is written next to `directory`, read back in a new process, and its golden rows are verified there.
    Only then does it replace the content of `directory`. Raises DumpError for a model or data that cannot be served;
    the message says what to do, and `directory` is unchanged."""
    from serialize.compiler.compile import compile_model  # noqa: PLC0415 - imports onnx, which serving does not need

    target = Path(directory).resolve()
    refuse_foreign_files(target)
    measurement = Measurement(metrics, cv, groups, cv_seconds, importances)
    if y_train is None:
        measurement.refuse_without_targets()
    task = infer_task(pipeline, threshold=threshold, positive_class=positive_class)
    with Progress() as progress:
        progress.stage("Reading the training rows")
        container, table = as_table(X_train, columns)
        dtype = str(as_array(X_train).dtype) if container == "array" else None
        declared = Declarations.of(bounds, categories, text, nullable, accept_unseen)
        signature = infer_signature(container, table, dtype, declared)
        model = Model(pipeline, task, signature)
        truth = None if y_train is None else _truth(model, targets(y_train, len(table), one_per_output(pipeline)))
        rows = observations(table)
        progress.stage("Scoring the training rows")
        manifest, outputs = _manifest(name or final_name(pipeline), model, X_train, table, rows)
        if not reference:
            manifest = replace(manifest, profile=no_profile(signature, task))
        counts = {} if truth is None else class_counts(task, truth)
        progress.stage("Compiling")
        compilation = compile_model(model, rows[:_VERIFIED_ROWS])
        figures = measurement.metrics_of(model, X_train, y_train, truth, outputs, progress)
        shares = measurement.importances_of(model, table, truth, progress)
        manifest = replace(
            manifest, metrics=figures, importances=shares, not_compiled=compilation.reason, class_counts=counts
        )
        progress.stage("Writing the artifact, and verifying it in a new process")
        files = {PIPELINE: pickled(pipeline)}
        if compilation.content is not None:
            files[COMPILED] = compilation.content
        artifact = _write(manifest, files, target)
    sys.stderr.write(strictness(signature))
    return artifact


def _truth(model: Model, y: Vector) -> Vector:
    return encode(model.task, y, getattr(model.pipeline, "classes_", ()))


def _manifest(
    name: str, model: Model, X: Any, table: pd.DataFrame, rows: list[dict[str, Scalar]]
) -> tuple[Manifest, Outputs]:
    """The manifest without figures of quality, and the outputs for the training rows."""
    modules = modules_of(model.pipeline)
    outputs = training_outputs(model, X, len(table))
    found = check_rows(model, X, rows, outputs, telling_rows(model, table))
    check_classes(model, X, rows, outputs)
    for warning in found:
        warnings.warn(warning, stacklevel=3)
    manifest = Manifest(
        name=name,
        task=model.task,
        signature=model.signature,
        profile={"columns": profile_columns(model.signature, table), "outputs": profile_outputs(model.task, outputs)},
        golden=choose(model, table, rows),
        metrics=NONE,
        importances=no_importances(model.task),
        libraries=library_versions(modules),
        modules=tuple(own_modules(modules)),
        warnings=tuple(found),
    )
    return manifest, outputs


def _write(manifest: Manifest, files: Mapping[str, bytes], target: Path) -> Artifact:
    listed = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    with new_folder(target) as folder:
        for name, content in files.items():
            (folder / name).write_bytes(content)
        (folder / MANIFEST).write_bytes(replace(manifest, files=listed).to_bytes())
        _verify_in_new_process(folder)
    return load(target)


def _verify_in_new_process(folder: Path) -> None:
    """Reads and verifies the artifact as the service does at start-up, without the state of this process."""
    command = [sys.executable, "-c", _FRESH_PROCESS, json.dumps(sys.path), str(folder)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        lines = ended.stderr.strip().splitlines()
        reason = lines[-1].removeprefix("serialize.errors.ArtifactError: ") if lines else "it ended without a message"
        raise DumpError(f"A new process cannot read the model back: {reason}")
