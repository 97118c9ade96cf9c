"""The registry for programs: the models, the newest promotions, and the changes of the champion, as JSON."""

import json
import logging
from collections.abc import Mapping
from typing import Any

from serialize.errors import ArtifactError
from serialize.manifest import Manifest
from service.batching import Aside
from service.errors import ModelConflict
from service.registry.registry import Change, Registry
from service.registry.release import OFF
from service.storage.models.promotions import Promoted
from service.storage.models.store import LISTED
from service.telemetry.log_format import event

_log = logging.getLogger("service")


class Catalog:
    """For many callers: the session of the `registry`, which is None if it is off, takes them in turn. `aside` runs
    what computes, and `turn` one promotion at a time, in the greenlet of its caller.

    Every method raises ModelConflict if the registry is off, and Unavailable if the database cannot be used now."""

    def __init__(self, registry: Registry | None, aside: Aside, turn: Aside) -> None:
        self._registry = registry
        self._aside = aside
        self._turn = turn

    def listed(self, limit: int) -> dict[str, Any]:
        """The champion, and up to `limit` models and promotions, the newest first."""
        registry = self._required()
        champion = registry.promotions.champion()
        return {
            "champion": champion,
            "models": [_model(row, champion) for row in registry.store.newest(limit)],
            "promotions": list(map(_promotion, registry.promotions.newest(limit))),
        }

    def described(self, version: str) -> dict[str, Any]:
        """A model with the facts of its manifest. Raises UnknownModel, and ModelConflict if the manifest is not signed
        by one of the keys, or this version cannot read it."""
        registry = self._required()
        found = registry.model(version)
        row = {name: getattr(found, name) for name in LISTED}
        try:
            described = self._aside(lambda: facts(registry.manifest_of(found)))
        except ArtifactError as error:
            raise ModelConflict(str(error)) from error
        verdict = None if found.verdict is None else json.loads(found.verdict)
        return {**_model(row, registry.promotions.champion()), **described, "verdict": verdict}

    def promote(self, version: str, by: str, reason: str | None, *, force: bool) -> dict[str, Any]:
        """Proves a model and makes it the champion. Raises like `Registry.promote`."""
        registry = self._required()
        return _changed(self._turn(lambda: registry.promote(version, by, reason, force=force)), by)

    def rollback(self, by: str, reason: str | None) -> dict[str, Any]:
        """Makes the model before the champion the champion again. Raises like `Registry.rollback`."""
        registry = self._required()
        return _changed(self._turn(lambda: registry.rollback(by, reason)), by)

    def _required(self) -> Registry:
        if self._registry is None:
            raise ModelConflict(OFF)
        return self._registry


def facts(manifest: Manifest) -> dict[str, Any]:
    """What a manifest tells about its model, without the reference profile and the golden rows."""
    return {
        **manifest.task.to_json(),
        "signature": manifest.signature.to_json(),
        "metrics": manifest.metrics,
        "importances": manifest.importances,
        "libraries": manifest.libraries,
        "not_compiled": manifest.not_compiled,
        "scoring": manifest.scoring,
        "warnings": list(manifest.warnings),
        "class_counts": manifest.class_counts,
    }


def _model(row: Mapping[str, Any], champion: str | None) -> dict[str, Any]:
    registered_at = row["registered_at"].isoformat(timespec="microseconds")
    return {**row, "registered_at": registered_at, "champion": row["version"] == champion}


def _promotion(entry: Promoted) -> dict[str, Any]:
    return {
        "id": entry.id,
        "from": entry.from_version,
        "to": entry.to_version,
        "at": entry.promoted_at.isoformat(timespec="microseconds"),
        "by": entry.promoted_by,
        "reason": entry.reason,
        "figures": None if entry.figures is None else json.loads(entry.figures),
        "undoes": entry.undoes,
    }


def _changed(change: Change, by: str) -> dict[str, Any]:
    event(_log, logging.INFO, "promoted", version=change.champion, before=change.before, by=by)
    return {"champion": change.champion, "before": change.before}
