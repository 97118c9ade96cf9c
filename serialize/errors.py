"""The errors of serialization: a model that cannot be dumped, an artifact that cannot be loaded, and a value that an
estimator refuses. Every message says in one or two sentences what is wrong and what to do."""

from typing import Any


class DumpError(ValueError):
    """The model or its training data cannot be made into an artifact."""


class ArtifactError(ValueError):
    """The folder is not an artifact that may be loaded, or its outputs differ from those recorded at dump."""


class StoreError(ArtifactError):
    """A URL cannot be read or written now: there is no such place, access is denied, or the server fails."""


class ClusterError(ArtifactError):
    """A Dask cluster cannot be used: it cannot be reached, has no workers, or has other versions of the libraries."""


class RefusedValue(ValueError):
    """An estimator may raise it for a value that fits the signature and that it cannot score. The service then answers
    422 and names the column and the value."""

    def __init__(self, column: str, value: Any, expected: str) -> None:
        super().__init__(f"{column}: expected {expected}; got {value!r}")
        self.column = column
        self.value = value
        self.expected = expected


def one_line(error: BaseException) -> str:
    """One line about an error of another library: its type and the first line of its message."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
