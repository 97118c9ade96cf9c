"""How good the service's predictions were: the labelled rows of the log against what was answered, in all, by window
of time and by group, each figure beside that of the training."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from serialize.manifest import Manifest
from service.errors import Fault, InvalidQuery, pointer
from service.monitoring.cbpe import estimate_performance
from service.monitoring.intervals import LEVEL, Array, MetricValue
from service.monitoring.segments import Groups
from service.monitoring.significance import holm, welch_test
from service.monitoring.task_metrics import TaskMetrics, task_metrics
from service.prediction.filter import PerformanceQuery, Selection
from service.prediction.moment import moment_of
from service.storage.column_cache import ColumnCache, Rows

FEWEST = 30
MOST_WINDOWS = 400

_MINUTE = 60_000_000
_DAY = 24 * 60 * _MINUTE
_MONDAY = 4 * _DAY  # 1970 began on a Thursday

# The length of a window and where one of them begins.
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
    """The report of a ledger for the model of a manifest."""

    def __init__(self, manifest: Manifest, ledger: ColumnCache) -> None:
        self._task = manifest.task
        self._training = _training(manifest.metrics)
        self._groups = Groups(manifest)
        self._ledger = ledger

    def report(self, query: PerformanceQuery) -> dict[str, Any]:
        """The answer of GET /performance, finite JSON. Raises InvalidQuery for a window that cuts the rows into too
        many parts."""
        return self.of(selected(self._ledger.rows(), self._ledger.model_keys, query.selection), query)

    def of(self, rows: Rows, query: PerformanceQuery) -> dict[str, Any]:
        """The report on these rows, whatever the selection of the query. Raises as `report`."""
        found = task_metrics(self._task, rows.take(rows.is_labelled))
        body = {
            **self._summary(rows, found),
            "threshold": self._threshold(rows),
            "confusion_matrix": found.confusion_matrix,
            "calibration": found.calibration,
            **self._more(found),
            "estimate": estimate_performance(self._task, rows),
            "interval": LEVEL,
        }
        if query.window is not None:
            body["series"] = self.series(rows, query.window)
        if query.by is not None:
            body["by"], body["groups"] = query.by, self._by(rows, query.by)
        return body

    def series(self, rows: Rows, window: str) -> list[dict[str, Any]]:
        """The windows, one of WINDOW_SIZES, that hold rows: days of UTC, weeks from Monday. Raises InvalidQuery for
        more than MOST_WINDOWS of them."""
        size, first = WINDOW_SIZES[window]
        places = (rows.created - first) // size
        found = np.unique(places).tolist()
        if len(found) > MOST_WINDOWS:
            expected = f"a window that cuts the rows into at most {MOST_WINDOWS} parts; narrow since and until"
            detail = f"window: expected {expected}; got {window}, which makes {len(found)}"
            raise InvalidQuery([Fault(pointer("window"), detail, window, expected)])
        parts = ((place * size + first, rows.take(places == place)) for place in found)
        return [{"from": moment_of(start), "to": moment_of(start + size), **self._part(part)} for start, part in parts]

    def _summary(self, rows: Rows, found: TaskMetrics) -> dict[str, Any]:
        labelled = rows.is_labelled
        return {
            "count": len(rows),
            "labelled": int(labelled.sum()),
            "coverage": float(labelled.mean()) if len(rows) else None,
            "label_delay": _delay(rows.labelled[labelled] - rows.created[labelled]),
            "metrics": {name: self._shown(name, figure) for name, figure in found.metrics.items()},
        }

    def _shown(self, name: str, figure: MetricValue) -> dict[str, float | None]:
        return {"value": figure.value, "low": figure.low, "high": figure.high, "training": self._training.get(name)}

    def _more(self, found: TaskMetrics) -> dict[str, Any]:
        if "classes" not in found.more:
            return found.more
        shown = {
            label: {**one, "metrics": {name: self._shown("", each) for name, each in one["metrics"].items()}}
            for label, one in found.more["classes"].items()
        }
        return {"classes": shown}

    def _threshold(self, rows: Rows) -> float | None:
        """The threshold of the rows, the model's own where there are none; None where they had several."""
        if self._task.kind != "binary" or not len(rows):
            return self._task.threshold
        found = {self._ledger.model_keys[place][1] for place in np.unique(rows.model_key).tolist()}
        known = {self._task.threshold if threshold is None else threshold for threshold in found}
        return known.pop() if len(known) == 1 else None

    def _by(self, rows: Rows, column: str) -> list[dict[str, Any]]:
        """The groups with their figures; the main one is compared with the rest of the rows."""
        grouping = self._ledger.grouping(column)
        groups = list(self._groups.of(column, grouping.values, grouping.codes_of(rows.id)))
        worth = self._worth(rows)
        differences = [_difference(worth, members, rows.is_labelled) for _, members in groups]
        p_values = holm([None if one is None else one[1] for one in differences])
        return [
            {
                "value": value,
                **self._group(rows.take(members)),
                "verdict": _verdict(difference, chance),
            }
            for (value, members), difference, chance in zip(groups, differences, p_values, strict=True)
        ]

    def _worth(self, rows: Rows) -> Array:
        """By row how good the answer was: right or wrong, or how near."""
        if self._task.kind != "regression":
            return np.asarray(rows.truth == rows.predicted, dtype=float)
        assert rows.target is not None
        return np.asarray(-np.abs(rows.output - rows.target))

    def _part(self, rows: Rows) -> dict[str, Any]:
        return self._summary(rows, task_metrics(self._task, rows.take(rows.is_labelled)))

    def _group(self, rows: Rows) -> dict[str, Any]:
        if rows.is_labelled.sum() >= FEWEST:
            return self._part(rows)
        return {**self._summary(rows, TaskMetrics({})), "metrics": None}


def selected(rows: Rows, model_keys: Sequence[tuple[str | None, float | None]], selection: Selection) -> Rows:
    """The rows of a selection."""
    wanted = np.ones(len(rows), dtype=bool)
    if selection.model_version is not None:
        places = [i for i, (version, _) in enumerate(model_keys) if version == selection.model_version]
        wanted &= np.isin(rows.model_key, places)
    if selection.since is not None:
        wanted &= rows.created >= selection.since
    if selection.until is not None:
        wanted &= rows.created < selection.until
    return rows.take(wanted)


def _difference(worth: Array, members: Array, labelled: Array) -> tuple[float, float] | None:
    """How much better the labelled members were than the other labelled rows, and the p value; None where either are
    too few for a verdict."""
    inside, outside = worth[members & labelled], worth[~members & labelled]
    return welch_test(inside, outside) if len(inside) >= FEWEST <= len(outside) else None


def _verdict(difference: tuple[float, float] | None, chance: float | None) -> str | None:
    if difference is None or chance is None:
        return None
    if chance >= 1 - LEVEL:
        return "as the rest"
    return "worse than the rest" if difference[0] < 0 else "better than the rest"


def _training(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The manifest's metrics by name, as far as they are numbers: whoever dumps may give others."""
    named = metrics.get("metrics", metrics)
    means = {name: one.get("mean") if isinstance(one, dict) else one for name, one in named.items()}
    return {name: mean for name, mean in means.items() if isinstance(mean, int | float) and not isinstance(mean, bool)}


def _delay(microseconds: Array) -> dict[str, float | None]:
    """Seconds from an answer to its label."""
    if not len(microseconds):
        return {"median": None, "p90": None}
    median, p90 = (np.quantile(microseconds, [0.5, 0.9]) / 1e6).tolist()
    return {"median": median, "p90": p90}
