"""A prediction before it is stored, and as a row of the log."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Self

from serialize.task import Label
from service.errors import ServiceError
from service.prediction.observation import Observation
from service.prediction.scoring import Score


class Record(NamedTuple):
    """One row of the log. `id` is its key, `observation_id` the caller's id, `text` the observation as canonical JSON,
    `true_label` the true class or value if known. Times are in UTC."""

    id: int
    observation_id: int | str
    text: str
    score: Score
    threshold: float | None
    model_version: str | None
    created_at: datetime
    true_label: Label | None = None
    labelled_at: datetime | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """The record of a database row, a mapping by column. Ids, classes and `probas` are JSON text there."""
        score = Score(
            predicted_class=_loaded(row["predicted_class"]),
            proba=row["proba"],
            probas=_loaded(row["probas"]),
            predicted_value=row["predicted_value"],
        )
        return cls(
            id=row["id"],
            observation_id=json.loads(row["observation_id"]),
            text=row["observation"],
            score=score,
            threshold=row["threshold"],
            model_version=row["model_version"],
            created_at=row["created_at"],
            true_label=row["true_value"] if score.predicted_value is not None else _loaded(row["true_class"]),
            labelled_at=row["labelled_at"],
        )

    def answer(self) -> dict[str, Any]:
        """The record as JSON for /predict."""
        score = self.score
        head = {"id": self.id, "observation_id": self.observation_id}
        if score.predicted_value is not None:
            return {**head, "predicted_value": score.predicted_value, "true_value": self.true_label}
        body = {**head, "predicted_class": score.predicted_class, "proba": score.proba, "true_class": self.true_label}
        return body if score.probas is None else {**body, "probas": score.probas}

    def answer_with_observation(self) -> dict[str, Any]:
        """The record as JSON for /update."""
        return {**self.answer(), "observation": json.loads(self.text)}


class ScoredObservation(NamedTuple):
    """An observation with its score, before it is stored."""

    observation: Observation
    score: Score


class StoredPrediction(NamedTuple):
    """A stored record, and whether it was stored by an earlier request."""

    record: Record
    replayed: bool


class Stored(NamedTuple):
    """What became of the groups of a transaction. For each group of predictions it is the predictions or their error,
    for each array by column the row ids of its items, or None if it was not stored, and for each group of labels the
    records or their error."""

    predictions: list[list[StoredPrediction] | ServiceError]
    row_ids: list[Sequence[int] | None]
    records: list[list[Record] | ServiceError]


def _loaded(text: str | None) -> Any:
    return None if text is None else json.loads(text)
