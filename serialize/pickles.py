"""Pickles a pipeline so that another process can read it: finds the modules that it needs, and refuses classes defined
in the user's script, which no other process can import."""

import importlib.metadata
import io
import pickle
import platform
import sys
import types
from collections.abc import Mapping
from typing import Any

import joblib

from serialize.errors import DumpError

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
    by_module = importlib.metadata.packages_distributions()
    names = {name for module in modules - {"serialize"} for name in by_module.get(module, ())} | set(_ALWAYS)
    versions = {name: importlib.metadata.version(name) for name in sorted(names, key=str.lower)}
    return {"python": platform.python_version(), **versions}


def other_versions(libraries: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """The libraries whose installed minor version differs, or that are missing: name, expected version, installed
    version."""
    found = []
    for name, version in libraries.items():
        installed = platform.python_version() if name == "python" else _installed(name)
        if _minor(installed) != _minor(version):
            found.append((name, version, installed))
    return found


def own_modules(modules: set[str]) -> list[str]:
    """The user's own modules: those that neither Python nor an installed distribution provides."""
    brought = set(importlib.metadata.packages_distributions()) | sys.stdlib_module_names | {"serialize"}
    return sorted(modules - brought)


def _installed(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "none"


def _minor(version: str) -> list[str]:
    return str(version).split(".")[:2]


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
