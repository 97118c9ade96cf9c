"""What the gate says of a challenger."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Outcome = Literal["better", "not better", "not enough", "labels depend on the answer", "guarded group is worse"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome, the reason in a sentence, and all figures as JSON. Only a challenger that is better may be promoted
    by itself."""

    outcome: Outcome
    reason: str
    figures: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The verdict as JSON without NaN."""
        return {"outcome": self.outcome, "reason": self.reason, "figures": dict(self.figures)}
