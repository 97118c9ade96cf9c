"""Every metric of GET /metrics. Dashboards and alerts depend on the names and labels, so they are part of the API."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SIZES = tuple(float(2**i) for i in range(11))

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """One metric. `buckets` are the upper bounds of a histogram, without the last, +Inf."""

    name: str
    kind: Kind
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


def _spec(name: str, kind: Kind, unit: str, help_: str, *labels: str, buckets: tuple[float, ...] = ()) -> MetricSpec:
    return MetricSpec(f"prediction_service_{name}", kind, unit, help_, labels, buckets)


_BY_REQUEST = ("route", "method", "status")
_BY_METRIC = ("model_version", "metric")

REQUESTS = _spec("requests_total", "counter", "requests", "Requests by route, method and status.", *_BY_REQUEST)
REQUEST_SECONDS = _spec(
    "request_duration_seconds", "histogram", "seconds", "Time from request to response.", *_BY_REQUEST, buckets=_SECONDS
)
REFUSED = _spec("refused_requests_total", "counter", "requests", "Responses of 400 or above, by reason.", "reason")
PREDICTIONS = _spec(
    "predictions_total", "counter", "predictions", "Stored predictions.", "model_version", "predicted_class"
)
BATCH = _spec("batch_size", "histogram", "requests", "Requests scored and stored together.", buckets=_SIZES)
ARRAYS = _spec(
    "arrays_total",
    "counter",
    "requests",
    "Requests with an array: processed by columns, which is fast, or one item at a time, as faults and replays need.",
    *("route", "way"),
)
COMMIT = _spec(
    "commit_duration_seconds",
    "histogram",
    "seconds",
    "Time to store a batch, including the wait for the database.",
    buckets=_SECONDS,
)
QUEUE = _spec("queue_depth", "gauge", "requests", "Requests that wait for the batch before them.")
DROPPED_LINES = _spec(
    "dropped_log_lines_total", "counter", "lines", "Lines of output that could not be written, or not in time."
)
WORKERS = _spec("workers", "gauge", "processes", "Live worker processes.")
NO_CHAMPION = _spec(
    "workers_without_champion", "gauge", "processes", "Live workers that cannot serve the champion of the registry."
)
MODEL = _spec("model_info", "gauge", "1", "The served model; the value is 1.", "model_version", "name")
LOGGED = _spec("logged_predictions", "gauge", "predictions", "Predictions of the model in the log.", "model_version")
LABELLED = _spec("labelled_predictions", "gauge", "predictions", "Predictions with a true label.", "model_version")
LABELLED_SHARE = _spec("labelled_ratio", "gauge", "ratio", "Share of predictions with a label.", "model_version")
PERFORMANCE = _spec("performance", "gauge", "of the metric", "A live metric, as in GET /performance.", *_BY_METRIC)
PERFORMANCE_LOW = _spec("performance_low", "gauge", "of the metric", "Lower end of the 95 % interval.", *_BY_METRIC)
PERFORMANCE_HIGH = _spec("performance_high", "gauge", "of the metric", "Upper end of the 95 % interval.", *_BY_METRIC)
PERFORMANCE_TRAINING = _spec(
    "performance_training",
    "gauge",
    "of the metric",
    "The metric at the training; `training_method` in `/performance` says how it was measured.",
    *_BY_METRIC,
)
PERFORMANCE_AT = _spec(
    "performance_timestamp_seconds",
    "gauge",
    "seconds since 1970",
    "When the performance was computed.",
    "model_version",
)
JOBS = _spec("jobs", "gauge", "jobs", "Jobs in the database, by state.", "state")
NEWEST_JOB = _spec(
    "newest_job", "gauge", "1", "The state of the newest job of a kind; the value is 1.", "kind", "state"
)
JOB_WORKER_AGE = _spec(
    "job_worker_seen_seconds", "gauge", "seconds", "Time since a worker that does jobs was last seen."
)
NEWEST_VERDICT = _spec(
    "newest_verdict",
    "gauge",
    "1",
    "What the gate said of the newest model that it judged; the value is 1.",
    "model_version",
    "outcome",
)
WATCH_ROLLBACK_AT = _spec(
    "watch_rollback_timestamp_seconds", "gauge", "seconds since 1970", "When the watch last undid a promotion."
)

METRICS = (
    *(REQUESTS, REQUEST_SECONDS, REFUSED, PREDICTIONS, BATCH, ARRAYS, COMMIT, QUEUE, DROPPED_LINES, WORKERS),
    *(NO_CHAMPION, MODEL),
    *(LOGGED, LABELLED, LABELLED_SHARE),
    *(PERFORMANCE, PERFORMANCE_LOW, PERFORMANCE_HIGH, PERFORMANCE_TRAINING, PERFORMANCE_AT),
    *(JOBS, NEWEST_JOB, JOB_WORKER_AGE, NEWEST_VERDICT, WATCH_ROLLBACK_AT),
)
