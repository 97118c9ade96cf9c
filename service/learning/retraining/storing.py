"""Stores a challenger with its verdict, and promotes it if the gate and the user allow it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from serialize.content import Content
from service.errors import ModelConflict
from service.learning.gate.verdict import Verdict
from service.learning.retraining.attempts import judged_by, waiting_challenger
from service.learning.retraining.judging import is_clearly_worse
from service.learning.watched import may_promote_automatically
from service.registry.registry import Registry
from service.registry.release import author


@dataclass(frozen=True, slots=True)
class Storing:
    """`wants_promotion` says whether a challenger that is better becomes the champion. A dry run stores nothing."""

    registry: Registry
    wants_promotion: bool
    is_dry_run: bool

    def store(
        self, content: Content, verdict: Verdict, record: dict[str, Any], candidate: str, trained_until: int | None
    ) -> dict[str, Any]:
        """Stores the challenger, and promotes it if that was asked for and the gate allows it."""
        version, champion = content.version, record["champion"]
        result = _result(version, None, record)
        if self.is_dry_run:
            return {**result, "message": f"{verdict.reason} Nothing was stored."}
        note = f"retrained from {champion}: {candidate}"
        if is_clearly_worse(verdict):
            stored = self.registry.refuse(content, author(), record, note, trained_until)
        else:
            stored = self.registry.register(content, author(), note, trained_until, verdict=record)
        result["state"] = stored.state
        if verdict.outcome != "better":
            return result
        return {**result, **self._promoted(version, champion, record)}

    def of_job(self, job: int | None) -> dict[str, Any] | None:
        """What an earlier attempt of a job has stored, or None. Its promotion follows if it is missing."""
        found = None if job is None else judged_by(self.registry.store.models(), job)
        if found is None:
            return None
        version, record = found.version, json.loads(str(found.verdict))
        result = _result(version, found.state, record)
        if record["outcome"] != "better":
            return result
        changes = {(entry.from_version, entry.to_version) for entry in self.registry.promotions.history()}
        if (record["champion"], version) in changes:
            return {**result, "promoted": True, "message": f"{version} became the champion. {record['reason']}"}
        return {**result, **self._promoted(version, record["champion"], record)}

    def promoted_waiting(self, champion: str) -> dict[str, Any] | None:
        """Promotes the challenger of an earlier attempt that is better than the champion, if there is one and a
        promotion is wanted now."""
        registry = self.registry
        found = waiting_challenger(registry.store.models(), registry.promotions.history(), champion)
        if found is None or self.is_dry_run or not self.wants_promotion:
            return None
        record = json.loads(str(found.verdict))
        result = _result(found.version, found.state, record)
        return {**result, **self._promoted(found.version, champion, record)}

    def _promoted(self, version: str, champion: str, record: Mapping[str, Any]) -> dict[str, Any]:
        """Promotes a challenger that is better, unless it must not. Its signature is the champion's, so observations of
        the log that it refuses are no reason against it."""
        if not self.wants_promotion:
            return {
                "message": f"{record['reason']} `python -m service promote {version}` makes {version} the champion."
            }
        if not may_promote_automatically(self.registry.promotions, version):
            return {"message": f"{version} was rolled back before, so it is not promoted by itself. {record['reason']}"}
        reason = f"gate: {record['reason']}"
        try:
            self.registry.promote(version, author(), reason, record["figures"], force=True, expected=champion)
        except ModelConflict as error:
            return {"message": f"{error.detail} {record['reason']}"}
        return {"promoted": True, "message": f"{version} is the champion. {record['reason']}"}


def _result(version: str, state: str | None, record: Mapping[str, Any]) -> dict[str, Any]:
    """The result of a retraining with a challenger that is not promoted."""
    return {
        "champion": record["champion"],
        "challenger": version,
        "outcome": record["outcome"],
        "state": state,
        "promoted": False,
        "message": f"{version}: {record['reason']}",
        "verdict": record,
    }
