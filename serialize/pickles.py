"""Pickles a pipeline so that another process can read it: finds the modules that it needs, and refuses classes defined
in the user's script, which no other process can import."""

import importlib.metadata
import io
import os
import pickle
import platform
import sys
import types
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import joblib

from serialize.errors import ArtifactError, DumpError

Folders = tuple[tuple[str, int], ...]

_ALWAYS = ("scikit-learn", "numpy", "pandas", "scipy", "joblib")


def pickled(pipeline: Any) -> bytes:
    """The pipeline as the bytes of a compressed joblib file."""
    buffer = io.BytesIO()
    joblib.dump(pipeline, buffer, compress=3)
    return buffer.getvalue()


def modules_of(pipeline: Any) -> set[str]:
    """The top-level modules that unpickling the pipeline imports. Raises DumpError for anything that another process
    cannot import: definitions in `__main__`, lambdas, classes inside functions."""
    collector = _Collector(io.BytesIO(), protocol=5)
    try:
        collector.dump(pipeline)
    except DumpError:
        raise
    except Exception as error:
        raise DumpError(
            f"The pipeline cannot be pickled ({error}); define its functions and classes with def and class at the "
            "top of a module, not as lambdas or inside functions."
        ) from error
    return collector.modules


def library_versions(modules: set[str]) -> dict[str, str]:
    """The installed version of Python and of every distribution that the modules come from. This project is left out:
    a service that runs from a checkout has no installed version of it."""
    by_module = _distributions()
    names = {name for module in modules - {"serialize"} for name in by_module.get(module, ())} | set(_ALWAYS)
    versions = {name: _version(name, _folders()) for name in sorted(names, key=str.lower)}
    return {"python": platform.python_version(), **versions}


def refuse_missing(libraries: Mapping[str, str]) -> None:
    """Raises ArtifactError if a library is not installed, with its version and how to add it to the deployment."""
    missing = {name: version for name, version, installed in _unequal(libraries) if not installed}
    if missing:
        named = " and ".join(f"{name} {version}" for name, version in missing.items())
        raise ArtifactError(f"The model needs {named}, not installed here; {_add(missing)}.")


def other_versions(libraries: Mapping[str, str], parts: int = 2) -> list[tuple[str, str, str]]:
    """The libraries of which the first `parts` numbers of the version differ from the installed one: two for the minor
    version, one for the major version. Each with its name, version and installed version."""
    return [
        (name, version, installed)
        for name, version, installed in _unequal(libraries)
        if version.split(".")[:parts] != installed.split(".")[:parts]
    ]


def remedy(libraries: Mapping[str, str]) -> str:
    """The end of a sentence about a pipeline that cannot be used: which versions differ here, and what to do."""
    unequal = _unequal(libraries)
    if not unequal:
        return "dump the model again"
    dumped = ", ".join(f"{name} {version}" for name, version, _ in unequal)
    here = ", ".join(installed or "none" for *_, installed in unequal)
    lines = {name: version for name, version, _ in unequal if name != "python"}
    added = f"{_add(lines)}, or " if lines else ""
    return (
        f"the model was dumped with {dumped}, and {here} is installed here: {added}dump the model again with the "
        "versions installed here"
    )


def own_modules(modules: set[str]) -> list[str]:
    """The user's own modules: those that neither Python nor an installed distribution provides."""
    brought = set(_distributions()) | sys.stdlib_module_names | {"serialize"}
    return sorted(modules - brought)


def _distributions() -> Mapping[str, list[str]]:
    """The installed distributions of each top-level module. To find them takes a quarter of a second, so it is done
    again only after an installation, which changes a folder of the path."""
    return _distributions_in(_folders())


def _unequal(libraries: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """The libraries with another installed version: name, version, installed version ("" if there is none)."""
    versions = ((name, version, _installed(name)) for name, version in libraries.items())
    return [each for each in versions if each[1] != each[2]]


def _installed(name: str) -> str:
    try:
        return platform.python_version() if name == "python" else _version(name, _folders())
    except importlib.metadata.PackageNotFoundError:
        return ""


def _add(libraries: Mapping[str, str]) -> str:
    """How to add libraries in these versions: requirements.txt has hashes, so no line can be added there by hand."""
    lines = " and ".join(f"{name}=={version}" for name, version in libraries.items())
    return f"add {lines} to requirements-model.in and run `make requirements` (docs/install.md)"


@lru_cache(maxsize=1)
def _distributions_in(_: Folders) -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


@lru_cache(maxsize=256)
def _version(name: str, _: Folders) -> str:
    """The installed version of a distribution. Raises PackageNotFoundError."""
    return importlib.metadata.version(name)


def _folders() -> Folders:
    """The folders of the path with the times of their last changes."""
    return tuple((path, _changed_at(path)) for path in sys.path)


def _changed_at(path: str) -> int:
    try:
        return os.stat(path or ".").st_mtime_ns
    except OSError:
        return 0


class _Collector(pickle.Pickler):
    """A pickler that collects the modules of the objects it meets. Its output is not used."""

    def __init__(self, file: io.BytesIO, protocol: int) -> None:
        super().__init__(file, protocol)
        self.modules: set[str] = set()

    def persistent_id(self, obj: Any) -> None:
        if isinstance(obj, type | types.FunctionType | types.BuiltinFunctionType):
            module = obj.__module__
            if module == "__main__":
                named = "A lambda" if obj.__name__ == "<lambda>" else obj.__qualname__
                raise DumpError(
                    f"{named} is defined in __main__, the script or notebook that runs now, and the service cannot "
                    "import it from there; define it with def or class in a module, such as features.py next to "
                    "app.py, import it and fit again."
                )
            if module:
                self.modules.add(module.partition(".")[0])
