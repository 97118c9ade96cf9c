"""The two errors of serialization: a model that cannot be dumped, and an artifact that cannot be loaded. Every message
says in one or two sentences what is wrong and what to do."""


class DumpError(ValueError):
    """The model or its training data cannot be made into an artifact."""


class ArtifactError(ValueError):
    """The folder is not an artifact that may be loaded, or its outputs differ from those recorded at dump."""


def one_line(error: Exception) -> str:
    """One line about an error of another library: its type and the first line of its message."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
