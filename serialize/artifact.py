"""The artifact: a folder that holds a fitted pipeline and its manifest. `load` checks and reads it, and compares every
file with its digest before it is unpickled."""

import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import joblib

from serialize.compiler.runtime.compiled_model import CompiledModel
from serialize.content import Content, read_content
from serialize.display.summary import as_html, as_text, summary
from serialize.errors import ArtifactError, one_line
from serialize.folder import COMPILED, PIPELINE, training_file
from serialize.frame import Row
from serialize.manifest import Manifest
from serialize.model import Model
from serialize.pickles import (
    other_versions,
    refuse_missing,
    remedy,
)
from serialize.store.address import is_url
from serialize.task import Outputs
from serialize.training.data import TrainingData, read
from serialize.trust import Trust

Answers = Callable[[Sequence[Row]], Outputs]


@dataclass(frozen=True, slots=True, repr=False)
class Artifact:
    """A verified artifact in memory: the manifest, the model, its compiled form if there is one, as `digest` the
    sha256 of the manifest in hex, the folder that it was read from, if it was one, and the file of its training data,
    if there is one."""

    manifest: Manifest
    model: Model
    compiled: CompiledModel | None
    digest: str
    path: Path | None = None
    training: bytes | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        return as_text(self._summary())

    def _repr_html_(self) -> str:
        return as_html(self._summary())

    @property
    def pipeline(self) -> Any:
        """The fitted pipeline."""
        return self.model.pipeline

    @property
    def version(self) -> str:
        """The model version: the first 12 hex digits of the digest."""
        return self.digest[:12]

    @property
    def other_versions(self) -> list[tuple[str, str, str]]:
        """The libraries whose installed minor version differs from the manifest's: name, version in the manifest,
        installed version."""
        return other_versions(self.manifest.libraries)

    def training_data(self) -> TrainingData:
        """The rows and targets that the pipeline was fitted on, in the form that `fit` got; of a pipeline that was
        fitted again, those of the first one. Raises ArtifactError if the artifact does not keep them, or keeps them as
        Parquet where pyarrow is not installed."""
        if self.training is None:
            raise ArtifactError(
                "The artifact does not keep its training data; dump the model again with include_training_data=True."
            )
        return read(self.training, self.model.signature)

    def verify(self, answers: Answers) -> None:
        """Raises ArtifactError unless `answers` gives the recorded outputs for the golden rows."""
        golden, advice = self.manifest.golden, remedy(self.manifest.libraries)
        try:
            outputs = answers(golden.observations)
        except Exception as error:
            raise ArtifactError(f"The model cannot score its golden rows ({one_line(error)}); {advice}.") from error
        golden.verify(outputs, advice)

    def verify_all(self) -> None:
        """Raises ArtifactError unless the pipeline and the compiled form both give the recorded outputs."""
        self.verify(self.model.outputs)
        if self.compiled is not None:
            self.verify(self.compiled.outputs)

    def _summary(self) -> dict[str, str]:
        return summary(self.manifest, self.version, path=self.path)


def load(directory: str | Path, trust: Trust | None = None) -> Artifact:
    """Read an artifact from a folder or a URL. Before the pipeline is unpickled, every file is checked against the
    manifest, and the manifest against `trust`, which a URL needs. Raises ArtifactError for a place that does not hold
    exactly what `dump` wrote or that is not trusted, for a library that is not installed, and for a pipeline that
    cannot be imported. If a library has another major version here, all golden rows must give the recorded outputs."""
    return load_content(read_content(directory, trust), None if is_url(directory) else Path(directory))


def load_content(content: Content, path: Path | None = None) -> Artifact:
    """The same for files that were read and checked before."""
    manifest, files = content.manifest, content.files
    refuse_missing(manifest.libraries)
    model = Model(_unpickled(files[PIPELINE], manifest), manifest.task, manifest.signature)
    compiled = CompiledModel(files[COMPILED], model) if COMPILED in files else None
    artifact = Artifact(manifest, model, compiled, content.digest, path, training_file(files))
    if other_versions(manifest.libraries, parts=1):
        artifact.verify_all()
    return artifact


def _unpickled(content: bytes, manifest: Manifest) -> Any:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Trying to unpickle estimator")
        try:
            return joblib.load(io.BytesIO(content))
        except (ImportError, AttributeError) as error:
            own = ", ".join(f"{module}.py" for module in manifest.modules)
            lost = (error.name or "").partition(".")[0]
            if isinstance(error, ModuleNotFoundError) and lost not in manifest.modules:
                advice = f"add the library that provides {lost} to requirements-model.in and run `make requirements`"
            else:
                advice = f"put {own} beside app.py, on PYTHONPATH or into requirements.txt"
            raise ArtifactError(
                f"The pipeline needs a module that cannot be imported here ({error}); "
                f"{advice if own else remedy(manifest.libraries)}."
            ) from error
        except (Exception, SystemExit) as error:
            raise ArtifactError(
                f"The pipeline cannot be unpickled ({one_line(error)}); {remedy(manifest.libraries)}."
            ) from error
