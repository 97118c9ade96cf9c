"""Every metric of GET /metrics: name, type, unit, help text and labels. Dashboards and alerts depend on the names and
labels, so they are part of the API like the routes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SIZES = tuple(float(2**i) for i in range(11))
_BASE = "prediction_service_"


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """One metric. `buckets` are the upper bounds of a histogram, without the last, +Inf."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    unit: str
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def sample_names(self) -> tuple[str, ...]:
        """The names of its time series: three for a histogram, one for a counter or a gauge."""
        return tuple(f"{self.name}_{end}" for end in ("bucket", "count", "sum")) if self.buckets else (self.name,)


class Sample(NamedTuple):
    """A value of a gauge that is determined during the scrape, with its labels."""

    metric: MetricSpec
    labels: Mapping[str, str]
    value: float


_BY_REQUEST = ("route", "method", "status")
_BY_VERSION = ("model_version",)
_BY_METRIC = ("model_version", "metric")

REQUESTS = MetricSpec(
    _BASE + "requests_total", "counter", "requests", "Requests by route, method and status.", _BY_REQUEST
)
REQUEST_SECONDS = MetricSpec(
    _BASE + "request_duration_seconds",
    "histogram",
    "seconds",
    "Time from a request to its answer.",
    _BY_REQUEST,
    _SECONDS,
)
REFUSED = MetricSpec(
    _BASE + "refused_requests_total", "counter", "requests", "Requests answered 400 or above, by reason.", ("reason",)
)
PREDICTIONS = MetricSpec(
    _BASE + "predictions_total",
    "counter",
    "predictions",
    "Predictions stored, by model version and predicted class.",
    ("model_version", "predicted_class"),
)
BATCH = MetricSpec(
    _BASE + "batch_size", "histogram", "requests", "Requests that were scored and stored together.", (), _SIZES
)
COMMIT = MetricSpec(
    _BASE + "commit_duration_seconds",
    "histogram",
    "seconds",
    "Time to store a batch, the wait for the database included.",
    (),
    _SECONDS,
)
QUEUE = MetricSpec(_BASE + "queue_depth", "gauge", "requests", "Requests that wait for the batch before them.")
WORKERS = MetricSpec(_BASE + "workers", "gauge", "processes", "Worker processes that live.")
MODEL = MetricSpec(_BASE + "model_info", "gauge", "1", "What is served; the value is 1.", ("model_version", "name"))
LOGGED = MetricSpec(
    _BASE + "logged_predictions", "gauge", "predictions", "Predictions of the model in the log.", _BY_VERSION
)
LABELLED = MetricSpec(
    _BASE + "labelled_predictions", "gauge", "predictions", "Those of them with a true label.", _BY_VERSION
)
LABELLED_SHARE = MetricSpec(_BASE + "labelled_ratio", "gauge", "ratio", "Their share.", _BY_VERSION)
PERFORMANCE = MetricSpec(
    _BASE + "performance", "gauge", "of the metric", "A live figure of the model, as GET /performance.", _BY_METRIC
)
PERFORMANCE_LOW = MetricSpec(
    _BASE + "performance_low", "gauge", "of the metric", "The lower end of its 95 % interval.", _BY_METRIC
)
PERFORMANCE_HIGH = MetricSpec(
    _BASE + "performance_high", "gauge", "of the metric", "The upper end of its 95 % interval.", _BY_METRIC
)
PERFORMANCE_TRAINING = MetricSpec(
    _BASE + "performance_training", "gauge", "of the metric", "The same figure at the training.", _BY_METRIC
)
PERFORMANCE_AT = MetricSpec(
    _BASE + "performance_timestamp_seconds",
    "gauge",
    "seconds since 1970",
    "When the live figures were computed.",
    _BY_VERSION,
)

METRICS = (
    *(REQUESTS, REQUEST_SECONDS, REFUSED, PREDICTIONS, BATCH, COMMIT, QUEUE, WORKERS, MODEL),
    *(LOGGED, LABELLED, LABELLED_SHARE),
    *(PERFORMANCE, PERFORMANCE_LOW, PERFORMANCE_HIGH, PERFORMANCE_TRAINING, PERFORMANCE_AT),
)
