"""A stored prediction, and how it is answered."""

import json
from datetime import datetime
from typing import Any, NamedTuple

from serialize.task import Label
from service.scoring import Score


class Record(NamedTuple):
    """One row of the log: its own `id`, the caller's `observation_id`, the observation as canonical JSON `text`, the
    score, the true label or value once it is known, and when both came (UTC)."""

    id: int
    observation_id: int | str
    text: str
    score: Score
    threshold: float | None
    model_version: str | None
    created_at: datetime
    true_label: Label | None = None
    labelled_at: datetime | None = None

    def answer(self) -> dict[str, Any]:
        """The record as /predict answers it."""
        score = self.score
        head = {"id": self.id, "observation_id": self.observation_id}
        if score.predicted_value is not None:
            return {**head, "predicted_value": score.predicted_value, "true_value": self.true_label}
        body = {**head, "predicted_class": score.predicted_class, "proba": score.proba, "true_class": self.true_label}
        return body if score.probas is None else {**body, "probas": score.probas}

    def answer_with_observation(self) -> dict[str, Any]:
        """The record as /update answers it."""
        return {**self.answer(), "observation": json.loads(self.text)}
