"""Writes a pipeline that was fitted again as an artifact that inherits everything declared of its parent. It holds no
rows of the log: golden rows, profile and training data are those of the base rows."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from serialize.artifact import Artifact
from serialize.figures import NONE, given
from serialize.folder import TRAINING, refuse_foreign_files
from serialize.frame import observations
from serialize.infer_task import infer_task
from serialize.model import Model
from serialize.quality.evaluation import class_counts, encode
from serialize.quality.importances import importances
from serialize.reference_profile import no_profile
from serialize.task import Task
from serialize.training.data import Form, TrainingData, keep
from serialize.training.parquet import is_parquet
from serialize.training.refit import require_same_classes
from serialize.writing.steps import Rows, describe, files_of, write


def dump_refitted(
    artifact: Artifact,
    pipeline: Any,
    data: TrainingData,
    directory: str | Path,
    *,
    training: Mapping[str, Any],
    on_stage: Callable[[str], None],
    base: TrainingData | None = None,
    metrics: Mapping[str, Any] | None = None,
) -> Artifact:
    """Write a pipeline that was fitted on `data` again as an artifact, and verify it as `dump` does.

    Name, signature, and with it every declaration, positive class and threshold are those of `artifact`; a threshold
    that the pipeline tunes itself is the new one. `base` holds the training rows without those of the log; by default
    they are the ones that the artifact keeps, whose file is copied. Golden rows, profile and importances are made from
    them; of `data` only the numbers of each class are kept. The compiled form is checked on both. `training` says
    in the manifest what `data` are; its members `base`, the sha256 of the training data, and `parent`, the version of
    the artifact, are filled in here. `on_stage` is told what happens now. `metrics` are figures as `dump` takes
    them; by default there are none.
    The speed of scoring is that of the parent: it is not measured again.
    The pipeline itself can hold values of the log, as an encoder holds categories and a nearest neighbour whole rows.

    Raises DumpError for a pipeline with other classes or one that cannot be served with this signature, and
    ArtifactError if there are no base rows."""
    target = Path(directory).resolve()
    refuse_foreign_files(target)
    parent = artifact.manifest
    require_same_classes(artifact.model, pipeline)
    model = Model(pipeline, _task(parent.task, pipeline), parent.signature)
    file, base = _base(artifact, base)
    on_stage("Scoring the base rows")
    table = Form.of(base.X, model.signature).table(base.X)
    rows = Rows(base.X, table, observations(table))
    manifest, _ = describe(parent.name, model, rows)
    classes = getattr(pipeline, "classes_", ())
    if parent.importances["columns"]:
        shares = importances(model, table, encode(model.task, base.y, classes))
        manifest = replace(manifest, importances=shares)
    if not any(column["count"] for column in parent.profile["columns"].values()):
        manifest = replace(manifest, profile=no_profile(model.signature, model.task))
    on_stage("Compiling")
    files, answering = files_of(model, rows, Form.of(data.X, model.signature).rows(data.X), parent.scoring)
    manifest = replace(
        manifest,
        metrics=NONE if metrics is None else given(metrics),
        class_counts=class_counts(model.task, encode(model.task, data.y, classes)),
        training={**training, "base": hashlib.sha256(file).hexdigest(), "parent": artifact.version},
        **answering,
    )
    on_stage("Writing the artifact, and verifying it in a new process")
    return write(manifest, {**files, TRAINING: file}, target)


def _task(before: Task, pipeline: Any) -> Task:
    """The task of the parent, with the threshold that the pipeline has now if nobody declared one."""
    declared = before.threshold if before.ties == "rule" else None
    return infer_task(pipeline, threshold=declared, positive_class=before.positive_class)


def _base(artifact: Artifact, base: TrainingData | None) -> tuple[bytes, TrainingData]:
    """The file of the base rows, and the rows. The file of an older artifact is written in the present form."""
    rows = artifact.training_data() if base is None else base
    if base is None and artifact.training is not None and not is_parquet(artifact.training):
        return artifact.training, rows
    return keep(rows.X, rows.y, artifact.model.signature), rows
