"""What is measured: every metric of GET /metrics with its labels, its unit and its meaning. Names and labels are a
contract with dashboards and alerts, so they change as routes do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

Kind = Literal["counter", "gauge", "histogram"]

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SIZES = tuple(float(2**i) for i in range(11))
_PREFIX = "prediction_service_"


@dataclass(frozen=True, slots=True)
class Measure:
    """One metric. `bounds` are the upper ends of a histogram's buckets."""

    name: str
    kind: Kind
    unit: str
    meaning: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()

    @property
    def samples(self) -> tuple[str, ...]:
        """The names of its samples."""
        return tuple(f"{self.name}_{end}" for end in ("bucket", "count", "sum")) if self.bounds else (self.name,)


class Reading(NamedTuple):
    """A value of a gauge that is read when it is asked for."""

    measure: Measure
    labels: Mapping[str, str]
    value: float


_OF_REQUESTS = ("route", "method", "status")
_OF_FIGURES = ("model_version", "metric")

REQUESTS = Measure(
    _PREFIX + "requests_total", "counter", "requests", "Requests by route, method and status.", _OF_REQUESTS
)
REQUEST_SECONDS = Measure(
    _PREFIX + "request_duration_seconds",
    "histogram",
    "seconds",
    "Time from a request to its answer.",
    _OF_REQUESTS,
    _SECONDS,
)
REFUSED = Measure(
    _PREFIX + "refused_requests_total", "counter", "requests", "Requests answered 400 or above, by reason.", ("reason",)
)
PREDICTIONS = Measure(
    _PREFIX + "predictions_total",
    "counter",
    "predictions",
    "Predictions stored, by model version and predicted class.",
    ("model_version", "predicted_class"),
)
BATCH = Measure(
    _PREFIX + "batch_size", "histogram", "requests", "Requests that were scored and stored together.", (), _SIZES
)
COMMIT = Measure(
    _PREFIX + "commit_duration_seconds",
    "histogram",
    "seconds",
    "Time to store a batch, the wait for the database included.",
    (),
    _SECONDS,
)
QUEUE = Measure(_PREFIX + "queue_depth", "gauge", "requests", "Requests that wait for the batch before them.")
WORKERS = Measure(_PREFIX + "workers", "gauge", "processes", "Worker processes that live.")
MODEL = Measure(_PREFIX + "model_info", "gauge", "1", "What is served; the value is 1.", ("model_version", "name"))
LOGGED = Measure(
    _PREFIX + "logged_predictions", "gauge", "predictions", "Predictions of the model in the log.", ("model_version",)
)
LABELLED = Measure(
    _PREFIX + "labelled_predictions", "gauge", "predictions", "Those of them with a true label.", ("model_version",)
)
LABELLED_SHARE = Measure(_PREFIX + "labelled_ratio", "gauge", "ratio", "Their share.", ("model_version",))
FIGURE = Measure(
    _PREFIX + "performance", "gauge", "of the metric", "A live figure of the model, as GET /performance.", _OF_FIGURES
)
FIGURE_LOW = Measure(
    _PREFIX + "performance_low", "gauge", "of the metric", "The lower end of its 95 % interval.", _OF_FIGURES
)
FIGURE_HIGH = Measure(
    _PREFIX + "performance_high", "gauge", "of the metric", "The upper end of its 95 % interval.", _OF_FIGURES
)
FIGURE_TRAINING = Measure(
    _PREFIX + "performance_training", "gauge", "of the metric", "The same figure at the training.", _OF_FIGURES
)
FIGURES_AT = Measure(
    _PREFIX + "performance_timestamp_seconds",
    "gauge",
    "seconds since 1970",
    "When the live figures were computed.",
    ("model_version",),
)

MEASURES = (
    *(REQUESTS, REQUEST_SECONDS, REFUSED, PREDICTIONS, BATCH, COMMIT, QUEUE, WORKERS, MODEL),
    *(LOGGED, LABELLED, LABELLED_SHARE, FIGURE, FIGURE_LOW, FIGURE_HIGH, FIGURE_TRAINING, FIGURES_AT),
)
