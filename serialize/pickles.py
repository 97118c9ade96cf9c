"""Pickling a pipeline so that another process can read it: which modules it needs, and the refusal of classes that
live in the user's script, where no other process can find them."""

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
    """The top-level modules that unpickling the pipeline imports. Raises DumpError for what cannot be imported
    elsewhere: anything defined in `__main__`, a lambda, a class within a function."""
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
    """Of the libraries by version those that are installed in another minor version, or not at all: name, version and
    the installed version."""
    found = []
    for name, version in libraries.items():
        installed = platform.python_version() if name == "python" else _installed(name)
        if _minor(installed) != _minor(version):
            found.append((name, version, installed))
    return found


def own_modules(modules: set[str]) -> list[str]:
    """Those modules that no installed distribution and not Python itself brings: the user's own."""
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
    """A pickler that is run for what it meets, not for what it writes."""

    def __init__(self, file: io.BytesIO, protocol: int) -> None:
        super().__init__(file, protocol)
        self.modules: set[str] = set()

    def persistent_id(self, obj: Any) -> None:
        if isinstance(obj, type | types.FunctionType | types.BuiltinFunctionType):
            module = obj.__module__
            if module == "__main__":
                raise _in_main(obj)
            if module:
                self.modules.add(module.partition(".")[0])


def _in_main(obj: Any) -> DumpError:
    named = "A lambda" if obj.__name__ == "<lambda>" else obj.__qualname__
    return DumpError(
        f"{named} is defined in __main__, the script or notebook that runs now, where the service cannot import it; "
        "define it with def or class in a module of its own, such as features.py beside app.py, import it from there "
        "and fit again."
    )
