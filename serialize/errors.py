"""The two ways in which serialization refuses: a model that cannot be dumped, and an artifact that cannot be
trusted. Every message is one sentence or two that say what is wrong and what to do about it."""


class DumpError(ValueError):
    """The model or its training data cannot be made into an artifact."""


class ArtifactError(ValueError):
    """The folder is not an artifact that may be loaded, or it does not answer as it did when it was dumped."""


def said(error: Exception) -> str:
    """What an error of another library says, in one line: its type and the first line of its message."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
