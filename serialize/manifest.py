"""The manifest of an artifact: everything about the model except the pipeline, as one JSON file.

A new key needs no new format if readers of the present format may ignore it: read it with a default, because older
manifests lack it. For any other change raise FORMAT, keep the older format in READABLE, let `from_bytes` fill in what
it lacks, run `python -m tests.serialize.artifacts.write` and dump the shipped artifact again."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from serialize.checks.golden_rows import GoldenRows
from serialize.errors import ArtifactError, DumpError
from serialize.figures import figures
from serialize.folder import OLDER_COMPILED
from serialize.signature import Signature
from serialize.task import Task

FORMAT = 3  # the one that is written
READABLE = (2, 3)

_OLDER = "The compiled form is of an older version; dump the model again."


@dataclass(frozen=True, slots=True)
class Manifest:
    """The description of a model. `files` maps each other file of the artifact to its sha256, `modules` lists the
    user's own modules that the pipeline needs, `not_compiled` is the reason why there is no compiled form, or None,
    `warnings` says what `dump` found that is not quite right, and `class_counts` maps each class, as text, to the
    number of its training rows (empty for a regression, without targets, and in an older manifest). `scoring` says how
    the model answers, as `serialize.compiler.timing` measured it (empty in an older manifest). `training` says
    what a pipeline was fitted on that `dump_refitted` wrote; it is None for any other.

    The file ends with the sha256 of its own members, so that damage is detected. This does not prove where the file
    comes from: see `trust`. The digest leaves out the libraries, because the golden rows decide if a version fits."""

    name: str
    task: Task
    signature: Signature
    profile: Mapping[str, Any]
    golden: GoldenRows
    metrics: Mapping[str, Any]
    importances: Mapping[str, Any]
    libraries: Mapping[str, str]
    modules: tuple[str, ...] = ()
    not_compiled: str | None = None
    scoring: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    class_counts: Mapping[str, int] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    training: Mapping[str, Any] | None = None

    def to_bytes(self) -> bytes:
        """The content of manifest.json in UTF-8. Raises DumpError for values that JSON cannot carry, as in metrics."""
        data = {
            "format": FORMAT,
            "name": self.name,
            **self.task.to_json(),
            "signature": self.signature.to_json(),
            "metrics": self.metrics,
            "importances": self.importances,
            "libraries": self.libraries,
            "modules": list(self.modules),
            "not_compiled": self.not_compiled,
            "scoring": self.scoring,
            "warnings": list(self.warnings),
            "class_counts": self.class_counts,
            "training": self.training,
            "files": self.files,
            "profile": self.profile,
            "golden": self.golden.to_json(),
        }
        try:
            data["sha256"] = _seal(json.loads(json.dumps(data, allow_nan=False)))
            members = (f" {json.dumps(name)}: {_written(name, value)}" for name, value in data.items())
            return ("{\n" + ",\n".join(members) + "\n}\n").encode()
        except (TypeError, ValueError) as error:
            raise DumpError(f"The manifest cannot be JSON ({error}); give name as text.") from error

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """The manifest back from `to_bytes`, of this version or of an older one that wrote a format in READABLE. Raises
        ArtifactError for anything else, for a changed manifest, and for any other format."""
        try:
            data = json.loads(content)
            if data["format"] not in READABLE:
                raise ArtifactError(
                    f"manifest.json has format {data['format']}, and this version reads format {FORMAT} and the older "
                    f"{', '.join(map(str, READABLE[:-1]))}; dump the model again with the version that serves it."
                )
            if data["sha256"] != _seal(data):
                raise ValueError("changed")
            return cls(
                name=data["name"],
                task=Task.from_json(data),
                signature=Signature.from_json(data["signature"]),
                profile=data["profile"],
                golden=GoldenRows.from_json(data["golden"]),
                metrics=figures(data["metrics"]),
                importances=data["importances"],
                libraries=_versions(data["libraries"]),
                modules=tuple(data["modules"]),
                not_compiled=data["not_compiled"] or (_OLDER if OLDER_COMPILED in data["files"] else None),
                scoring=dict(data.get("scoring", {})),
                warnings=tuple(data.get("warnings", ())),
                class_counts=_counts(data.get("class_counts", {})),
                training=_training(data.get("training")),
                files=dict(data["files"]),
            )
        except ArtifactError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise ArtifactError("manifest.json is damaged; restore the artifact or dump the model again.") from error


def _written(name: str, value: Any) -> str:
    """A member as JSON: on one line if it is large, because Python is slow at writing indented JSON."""
    if name in ("profile", "golden"):
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False).replace("\n", "\n ")


def _versions(libraries: Any) -> dict[str, str]:
    """Versions by library name. Raises ValueError or AttributeError for anything else."""
    if not all(name and isinstance(version, str) for name, version in libraries.items()):
        raise ValueError("not versions by name")
    return dict(libraries)


def _counts(counts: Any) -> dict[str, int]:
    """Numbers of rows by class. Raises ValueError or AttributeError for anything else."""
    if not all(isinstance(count, int) for count in counts.values()):
        raise ValueError("not numbers of rows by class")
    return dict(counts)


def _training(training: Any) -> dict[str, Any] | None:
    """What a pipeline was fitted on again. Raises ValueError or TypeError for anything but an object or null."""
    return None if training is None else dict(training)


def _seal(data: Mapping[str, Any]) -> str:
    """The sha256, in hex, of the members of a manifest, independent of order and white space."""
    sealed = {name: value for name, value in data.items() if name not in ("sha256", "libraries")}
    return hashlib.sha256(json.dumps(sealed, sort_keys=True).encode()).hexdigest()
