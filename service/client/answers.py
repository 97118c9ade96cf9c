"""The answers of /predict and /update as typed values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

ObservationId = int | str
Label = bool | int | float | str


@dataclass(frozen=True, slots=True)
class Prediction:
    """One prediction as it is stored. `id` is the number of its row, `observation_id` the caller's id.

    A classifier sets `predicted_class` and `proba`, the probability of the positive class (of the predicted class, for
    three classes or more), from 0 to 1. For three classes or more `probas` has the probability of each class by its
    name. A regression model sets `predicted_value`. The true class or value is None until it is known. `observation` is
    only in the answer of an update.

    `replayed` says whether an earlier request stored the row; that may be an earlier attempt of the same call. It is
    None where the service does not say it: for updates, and for an array of which some items are new."""

    id: int
    observation_id: ObservationId
    predicted_class: Label | None = None
    proba: float | None = None
    probas: Mapping[str, float] | None = None
    predicted_value: float | None = None
    true_class: Label | None = None
    true_value: float | None = None
    observation: Mapping[str, Any] | None = None
    replayed: bool | None = None

    @classmethod
    def of(cls, body: Mapping[str, Any], replayed: bool | None = None) -> Self:
        """A prediction from its JSON. Members that are not known here are left out. Raises KeyError without an id."""
        get = body.get
        return cls(
            body["id"],
            body["observation_id"],
            get("predicted_class"),
            get("proba"),
            get("probas"),
            get("predicted_value"),
            get("true_class"),
            get("true_value"),
            get("observation"),
            replayed,
        )
