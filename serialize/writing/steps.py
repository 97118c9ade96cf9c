"""What every dump does after it has its rows: describe the model, compile it, and write the folder, which is read back
in a new process before it takes its place."""

import hashlib
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from serialize.artifact import Artifact, load
from serialize.checks.golden_rows import choose, telling_rows
from serialize.checks.rows import check_classes, check_rows
from serialize.compiler.runtime.compiled_model import CompiledModel
from serialize.errors import DumpError
from serialize.figures import NONE
from serialize.folder import COMPILED, MANIFEST, PIPELINE, new_folder
from serialize.frame import Row
from serialize.manifest import Manifest
from serialize.model import Model, training_outputs
from serialize.pickles import library_versions, modules_of, own_modules, pickled
from serialize.quality.importances import no_importances
from serialize.reference_profile import profile_columns, profile_outputs
from serialize.signature import Scalar
from serialize.task import Outputs

_VERIFIED_ROWS = 100_000
_MOST_OF_PIPELINE = 0.9  # the time of one row in the compiled form, at most; a smaller gain could be noise
_FRESH_PROCESS = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from serialize.writing.parent import end_with; end_with(int(sys.argv[3])); "
    "from serialize.artifact import load; load(sys.argv[2]).verify_all()"
)


@dataclass(frozen=True, slots=True)
class Rows:
    """n rows as the input `X` of the pipeline, as a table, and as observations."""

    X: Any
    table: pd.DataFrame
    observations: list[dict[str, Scalar]]


def describe(name: str, model: Model, rows: Rows) -> tuple[Manifest, Outputs]:
    """The manifest without figures of quality, and the outputs for the rows, after all checks. Its golden rows and its
    profile come from these rows. Raises DumpError for a model that answers them otherwise as observations."""
    modules = modules_of(model.pipeline)
    outputs = training_outputs(model, rows.X, len(rows.table))
    found = check_rows(model, rows.X, rows.observations, outputs, telling_rows(model, rows.table))
    check_classes(model, rows.X, rows.observations, outputs)
    for warning in found:
        warnings.warn(warning, stacklevel=3)
    manifest = Manifest(
        name=name,
        task=model.task,
        signature=model.signature,
        profile={
            "columns": profile_columns(model.signature, rows.table),
            "outputs": profile_outputs(model.task, outputs),
        },
        golden=choose(model, rows.table, rows.observations),
        metrics=NONE,
        importances=no_importances(model.task),
        libraries=library_versions(modules),
        modules=tuple(own_modules(modules)),
        warnings=tuple(found),
    )
    return manifest, outputs


def files_of(
    model: Model, rows: Rows, more: Sequence[Row] = (), scoring: Mapping[str, Any] | None = None
) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The files of a model by name: the pipeline, and its compiled form, if there is one; and the members
    `not_compiled` and `scoring` of the manifest. The compiled form must also answer `more` observations as the
    pipeline does. With `scoring`, nothing is measured: its figures are taken, so that the same pipeline gets the same
    version."""
    from serialize.compiler.compile import compile_model  # noqa: PLC0415 - imports onnx, which serving does not need
    from serialize.compiler.equivalence import difference_of_rows  # noqa: PLC0415 - serving does not need it
    from serialize.compiler.timing import timed  # noqa: PLC0415 - serving does not need it

    files = {PIPELINE: pickled(model.pipeline)}
    compilation = compile_model(model, rows.observations[:_VERIFIED_ROWS])
    content, reason = compilation.content, compilation.reason
    compiled = None if content is None else CompiledModel(content, model)
    if compiled is not None and (reason := difference_of_rows(model, compiled.outputs, more[-_VERIFIED_ROWS:])):
        compiled = None
    if scoring is None:
        scoring = timed(model, compiled, rows.observations)
    row = scoring.get("row_us", {})  # that of a parent may lack it, or hold the pipeline alone
    if compiled is not None and "compiled" in row and row["compiled"] > _MOST_OF_PIPELINE * row["pipeline"]:
        compiled, reason = None, "The compiled form is not clearly faster than the pipeline."
    if content is not None and compiled is not None:
        files[COMPILED] = content
    native = [] if compiled is None else compiled.native
    return files, {"not_compiled": reason, "scoring": {**scoring, "native": native}}


def write(manifest: Manifest, files: Mapping[str, bytes], target: Path) -> Artifact:
    """Writes the files and the manifest, which then lists them, to a folder, an absolute path, and replaces it as a
    whole. Raises DumpError if a new process cannot read it back; the folder is then unchanged."""
    listed = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    with new_folder(target) as folder:
        for name, content in files.items():
            (folder / name).write_bytes(content)
        (folder / MANIFEST).write_bytes(replace(manifest, files=listed).to_bytes())
        _verify_in_new_process(folder)
    return load(target)


def _verify_in_new_process(folder: Path) -> None:
    """Reads and verifies the artifact as the service does at start-up, without the state of this process."""
    command = [sys.executable, "-c", _FRESH_PROCESS, json.dumps(sys.path), str(folder), str(os.getpid())]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        lines = ended.stderr.strip().splitlines()
        reason = lines[-1].removeprefix("serialize.errors.ArtifactError: ") if lines else "it ended without a message"
        raise DumpError(f"A new process cannot read the model back: {reason}")
