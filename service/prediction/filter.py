"""Which predictions of the log a reader wants: the filters of /predictions, /performance and /drift as plain values.

The web edge and the commands parse text into these; storage and monitoring only read them."""

from dataclasses import dataclass, field

DEFAULT_LAST = 1_000


@dataclass(frozen=True, slots=True)
class Selection:
    """Predictions of one model version, made from `since` up to but without `until` (microseconds since 1970, UTC).
    None selects all."""

    model_version: str | None = None
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True)
class PredictionFilter:
    """A selection, narrowed to one `observation_id` or one `predicted_class` (both canonical JSON), and to rows with
    or without a true label. None does not narrow."""

    selection: Selection = field(default_factory=Selection)
    observation_id: str | None = None
    labelled: bool | None = None
    predicted_class: str | None = None


@dataclass(frozen=True, slots=True)
class PerformanceQuery:
    """What GET /performance reports: a selection, optionally with a series of windows and with groups by a column."""

    selection: Selection
    window: str | None = None
    by: str | None = None


@dataclass(frozen=True, slots=True)
class DriftQuery:
    """What GET /drift compares: the `last` rows of a selection, or all of it where `last` is None."""

    selection: Selection
    last: int | None = DEFAULT_LAST


EVERYTHING = PredictionFilter()
