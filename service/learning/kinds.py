"""The kinds of work that a worker does, and the function that does each."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from service.learning.reporter import Reporter
from service.settings import Settings

Kind = Callable[[Settings, Mapping[str, Any], Reporter], Mapping[str, Any]]

RETRAIN = "retrain"
# Names of functions: only the process that does the work imports them, because they need seconds and much memory.
KINDS = {RETRAIN: "service.learning.retrain:retrain_job"}


class UnknownKind(LookupError):
    """This version does not know a kind of work."""


def kind_of(name: str, kinds: Mapping[str, str]) -> Kind:
    """The function of a kind. It gets the settings, the arguments of the job and its reporter, and returns the result,
    which must be JSON. Raises UnknownKind."""
    if name not in kinds:
        raise UnknownKind(f"This version knows no work of the kind {name}; start a worker of the newer version.")
    module, _, function = kinds[name].partition(":")
    found: Kind = getattr(import_module(module), function)
    return found
