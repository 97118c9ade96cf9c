"""The performance of the predictions on the labelled rows of the log: overall, by time window and by group, each metric
beside its value at the training."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from serialize.manifest import Manifest
from service.errors import Fault, InvalidQuery, pointer
from service.monitoring.cbpe import estimate_performance
from service.monitoring.intervals import LEVEL, Array, MetricValue
from service.monitoring.segments import Groups
from service.monitoring.significance import holm, welch_test
from service.monitoring.task_metrics import TaskMetrics, task_metrics
from service.pacing import give_way
from service.prediction.filter import PerformanceQuery, Selection
from service.prediction.moment import moment_of
from service.storage.column_cache import ColumnCache, Rows

FEWEST = 30
MOST_WINDOWS = 400

_MINUTE = 60_000_000
_DAY = 24 * 60 * _MINUTE
_MONDAY = 4 * _DAY  # 1970 began on a Thursday

# The length of a window and the start of one of them, in microseconds.
WINDOW_SIZES = {
    "1min": (_MINUTE, 0),
    "10min": (10 * _MINUTE, 0),
    "1h": (60 * _MINUTE, 0),
    "6h": (360 * _MINUTE, 0),
    "1d": (_DAY, 0),
    "1w": (7 * _DAY, _MONDAY),
    "4w": (28 * _DAY, _MONDAY),
    "52w": (364 * _DAY, _MONDAY),
}


class Performance:
    """Reports on a log for the model of a manifest."""

    def __init__(self, manifest: Manifest, cache: ColumnCache) -> None:
        self._task = manifest.task
        self._training = {name: one["mean"] for name, one in manifest.metrics["metrics"].items()}
        self._training_method = manifest.metrics["method"]
        self._groups = Groups(manifest)
        self._ledger = cache

    def report(self, query: PerformanceQuery) -> dict[str, Any]:
        """The body of GET /performance, finite JSON. Raises InvalidQuery for more than MOST_WINDOWS windows, and for
        groups by a column that the model does not have."""
        self._groups.require(query.by)
        return self.of(selected(self._ledger.rows(), self._ledger.model_keys, query.selection), query)

    def of(self, rows: Rows, query: PerformanceQuery) -> dict[str, Any]:
        """The report on these rows; the selection of the query is not applied. Raises as `report`."""
        is_labelled = rows.is_labelled
        labelled, unlabelled = rows.take(is_labelled), rows.take(~is_labelled & (rows.predicted >= 0))
        found = task_metrics(self._task, labelled)
        give_way()
        body = {
            **self._summary(rows, labelled, found),
            "threshold": self._threshold(rows),
            "confusion_matrix": found.confusion_matrix,
            "calibration": found.calibration,
            **found.more,
            "estimate": estimate_performance(self._task, labelled, unlabelled),
            "interval": LEVEL,
            "training_method": self._training_method,
        }
        if query.window is not None:
            body["series"] = self.series(rows, query.window)
        if query.by is not None:
            body["by"], body["groups"] = query.by, self._groups_of(rows, query.by)
        return body

    def series(self, rows: Rows, window: str) -> list[dict[str, Any]]:
        """The windows with rows: days of UTC, weeks from Monday. Raises InvalidQuery for more than MOST_WINDOWS."""
        size, first = WINDOW_SIZES[window]
        places = (rows.created - first) // size
        found = np.unique(places).tolist()
        if len(found) > MOST_WINDOWS:
            expected = f"a window that cuts the rows into at most {MOST_WINDOWS} parts; narrow since and until"
            detail = f"window: expected {expected}; got {window}, which makes {len(found)}"
            raise InvalidQuery([Fault(pointer("window"), detail, window, expected)])
        parts = ((place * size + first, rows.take(places == place)) for place in found)
        return [{"from": moment_of(start), "to": moment_of(start + size), **self._part(part)} for start, part in parts]

    def _summary(self, rows: Rows, labelled: Rows, found: TaskMetrics) -> dict[str, Any]:
        return {
            "count": len(rows),
            "labelled": len(labelled),
            "coverage": len(labelled) / len(rows) if len(rows) else None,
            "label_delay": _delay(labelled.labelled - labelled.created),
            "metrics": {name: self._shown(name, metric) for name, metric in found.metrics.items()},
        }

    def _shown(self, name: str, metric: MetricValue) -> dict[str, float | None]:
        return {**asdict(metric), "training": self._training.get(name)}

    def _threshold(self, rows: Rows) -> float | None:
        """The threshold of the rows, or of the model if there are no rows; None if the rows had several."""
        if self._task.kind != "binary" or not len(rows):
            return self._task.threshold
        found = {self._ledger.model_keys[place][1] for place in np.bincount(rows.model_key).nonzero()[0].tolist()}
        known = {self._task.threshold if threshold is None else threshold for threshold in found}
        return known.pop() if len(known) == 1 else None

    def _groups_of(self, rows: Rows, column: str) -> list[dict[str, Any]]:
        """The groups with their metrics, and a verdict on each against the rest of the rows."""
        grouping = self._ledger.grouping(column)
        groups = list(self._groups.of(column, grouping.values, grouping.codes_of(rows.id)))
        quality = self._quality(rows)
        tests = [_compare_with_rest(quality, members, rows.is_labelled) for _, members in groups]
        p_values = holm([p_value for _, p_value in tests])
        return [
            {"value": value, **self._group(rows.take(members)), "verdict": _verdict(difference, p_value)}
            for (value, members), (difference, _), p_value in zip(groups, tests, p_values, strict=True)
        ]

    def _quality(self, rows: Rows) -> Array:
        """The quality of each prediction: 1 if right and 0 if wrong, or minus the absolute error."""
        if self._task.kind != "regression":
            return np.asarray(rows.truth == rows.predicted, dtype=float)
        assert rows.target is not None
        return np.asarray(-np.abs(rows.output - rows.target))

    def _part(self, rows: Rows) -> dict[str, Any]:
        labelled = rows.take(rows.is_labelled)
        return self._summary(rows, labelled, task_metrics(self._task, labelled))

    def _group(self, rows: Rows) -> dict[str, Any]:
        labelled = rows.take(rows.is_labelled)
        if len(labelled) >= FEWEST:
            return self._summary(rows, labelled, task_metrics(self._task, labelled))
        return {**self._summary(rows, labelled, TaskMetrics({})), "metrics": None}


def selected(rows: Rows, model_keys: Sequence[tuple[str | None, float | None]], selection: Selection) -> Rows:
    """The rows of a selection."""
    of_version = np.array([selection.model_version in (None, version) for version, _ in model_keys], dtype=bool)
    wanted = of_version[rows.model_key] if len(rows) else np.zeros(0, dtype=bool)
    if selection.since is not None:
        wanted &= rows.created >= selection.since
    if selection.until is not None:
        wanted &= rows.created < selection.until
    return rows.take(wanted)


def _compare_with_rest(quality: Array, members: Array, labelled: Array) -> tuple[float, float | None]:
    """The mean quality of the labelled members minus that of the other labelled rows, and its p-value; None if there
    are too few of either."""
    inside, outside = quality[members & labelled], quality[~members & labelled]
    return welch_test(inside, outside) if len(inside) >= FEWEST <= len(outside) else (0.0, None)


def _verdict(difference: float, p_value: float | None) -> str | None:
    if p_value is None:
        return None
    if p_value >= 1 - LEVEL:
        return "as the rest"
    return "worse than the rest" if difference < 0 else "better than the rest"


def _delay(microseconds: Array) -> dict[str, float | None]:
    """Quantiles of the seconds from a prediction to its label."""
    quantiles = (np.quantile(microseconds, [0.5, 0.9]) / 1e6).tolist() if len(microseconds) else [None, None]
    return dict(zip(("median", "p90"), quantiles, strict=True))
