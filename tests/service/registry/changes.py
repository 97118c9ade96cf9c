"""Ways to change a registered model in the database."""

from collections.abc import Callable

from serialize.trust import signature
from service.registry.registry import Registry
from tests.service.registry.conftest import OTHER


def poisoned_file(registry: Registry, version: str) -> None:
    registry.store.remove_files(version)
    registry.store.add_file(version, "pipeline.joblib", b"cos\nsystem\n(S'true'\ntR.")


def truncated_file(registry: Registry, version: str) -> None:
    content = registry.store.file(version, "pipeline.joblib")
    assert content
    registry.store.remove_files(version)
    registry.store.add_file(version, "pipeline.joblib", content[:-1])


def no_files(registry: Registry, version: str) -> None:
    registry.store.remove_files(version)


def wrong_signature(registry: Registry, version: str) -> None:
    """Signs a model with another key."""
    registry.store.replace_signature(version, signature(registry.model(version).manifest, OTHER))


def empty_signature(registry: Registry, version: str) -> None:
    registry.store.replace_signature(version, "")


CHANGES: list[Callable[[Registry, str], None]] = [
    poisoned_file, truncated_file, no_files, wrong_signature, empty_signature,
]  # fmt: skip
