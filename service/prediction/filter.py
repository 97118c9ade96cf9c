"""The filters of /predictions, /performance and /drift as plain values. `web` and `cli` make them from text; `storage`
and `monitoring` read them."""

from dataclasses import dataclass, field

DEFAULT_LAST = 1_000


@dataclass(frozen=True, slots=True)
class Selection:
    """Predictions of one model version, made at or after `since` and before `until` (microseconds since 1970, UTC).
    None selects all."""

    model_version: str | None = None
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True)
class PredictionFilter:
    """A selection, limited to an `observation_id` or a `predicted_class` (both canonical JSON), or to rows with or
    without a true label. None sets no limit."""

    selection: Selection = field(default_factory=Selection)
    observation_id: str | None = None
    labelled: bool | None = None
    predicted_class: str | None = None


@dataclass(frozen=True, slots=True)
class PerformanceQuery:
    """The query of GET /performance: a selection, optionally split into time windows and into groups by a column, and
    two model versions to compare."""

    selection: Selection
    window: str | None = None
    by: str | None = None
    compare: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class DriftQuery:
    """The query of GET /drift: the `last` rows of a selection, or all of them if `last` is None, compared with the
    training of the model version `reference`; None is the model of the selection."""

    selection: Selection
    last: int | None = DEFAULT_LAST
    reference: str | None = None


EVERYTHING = PredictionFilter()
