"""Whether a champion that was promoted has proved worse than the one before it."""

from dataclasses import dataclass
from typing import Any

from serialize.task import TaskKind
from service.learning.gate.comparison import LossDifference, compare_losses
from service.learning.gate.levels import labels_of_look, level
from service.monitoring.intervals import Array


@dataclass(frozen=True, slots=True)
class WatchDecision:
    """Whether the champion is significantly worse at this look, why, and the losses: first those of the previous
    champion, then those of the champion."""

    is_worse: bool
    reason: str
    look: int
    losses: LossDifference

    def to_json(self) -> dict[str, Any]:
        """The decision as JSON without NaN."""
        figures = self.losses.to_json("previous", "champion")
        return {"is_worse": self.is_worse, "reason": self.reason, "look": self.look, "figures": figures}


def watch_decision(
    look: int,
    kind: TaskKind,
    truth: Array,
    champion: Array,
    previous: Array,
    *,
    positive: int = 1,
    clusters: Array | None = None,
) -> WatchDecision:
    """The k-th look at the rows labelled since the promotion, with the outputs of both models as in `Case`. The
    champion is worse if the whole interval of the difference, at the level of this look, is above 0. Before the labels
    of this look are there, it is not. Raises GateError for rows that cannot be compared."""
    losses = compare_losses(kind, truth, previous, champion, level=level(look), positive=positive, clusters=clusters)
    needed = labels_of_look(look)
    if losses.rows < needed:
        return WatchDecision(False, f"Look {look} needs {needed:,} labels; there are {losses.rows:,}.", look, losses)
    is_worse = losses.low > 0
    reason = (
        f"Look {look}, {losses.rows:,} labels: the {losses.name.replace('_', ' ')} is {losses.second:.4g}, and "
        f"{losses.first:.4g} for the previous champion; the {1 - losses.level:.2%} interval of the difference, "
        f"{losses.low:.4g} to {losses.high:.4g}, is {'wholly' if is_worse else 'not wholly'} above 0."
    )
    return WatchDecision(is_worse, reason, look, losses)
