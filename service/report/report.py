"""The report: the answers of GET /performance and GET /drift with charts of them. Every figure in a chart comes from
these answers."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from serialize.manifest import Manifest
from service.monitoring.drift import Drift
from service.monitoring.intervals import Array
from service.monitoring.performance import WINDOW_SIZES, Performance, selected
from service.prediction.filter import DriftQuery, PerformanceQuery
from service.report.classifier_charts import (
    calibration_curve,
    confusion_matrix,
    probabilities,
    roc_and_precision_recall,
)
from service.report.drift_charts import drift_charts
from service.report.log_charts import duration, label_delay, over_time
from service.report.regression_charts import actual_and_predicted, errors
from service.report.style import DARK, SERIES, NotDrawable, chart_style, plain, png
from service.storage.column_cache import ColumnCache, Rows

_EMPTY = "There are no predictions in this selection of the log."
_UNLABELLED = "None of these predictions has a label yet."
_PROBABILITIES = "Predicted probabilities"
_OVER_TIME = {
    "binary": {"accuracy": "Accuracy", "roc_auc": "ROC AUC"},
    "multiclass": {"accuracy": "Accuracy", "f1_macro": "F1 (macro average)"},
    "regression": {"mean_absolute_error": "Mean absolute error", "bias": "Mean error (bias)"},
}
_MOST_WINDOWS = 40

Draw = Callable[[], Figure]


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart as PNG with its title. `missing` says why there is none; the PNG then shows that sentence."""

    title: str
    png: bytes
    missing: str | None = None

    @property
    def name(self) -> str:
        """The title as a file name, without suffix."""
        return self.title.lower().replace(" ", "-")


@dataclass(frozen=True, slots=True)
class Report:
    """The answers of GET /performance and GET /drift, and the charts of them. `comparison` is that of the champion with
    another model, if there is one."""

    performance: Mapping[str, Any]
    drift: Mapping[str, Any]
    charts: Sequence[Chart]
    comparison: Mapping[str, Any] | None = None


class Reporter:
    """Makes the report on a cache's rows, as they are at one moment, for the model of a manifest."""

    def __init__(self, manifest: Manifest, performance: Performance, drift: Drift, cache: ColumnCache) -> None:
        self._task = manifest.task
        self._performance = performance
        self._drift = drift
        self._ledger = cache

    def report(self, query: PerformanceQuery, drift_query: DriftQuery) -> Report:
        """The report on the rows that the two queries select."""
        all_rows, model_keys = self._ledger.rows(), self._ledger.model_keys
        rows = selected(all_rows, model_keys, query.selection)
        performance = self._performance.of(rows, query)
        drift, counts = self._drift.examined(selected(all_rows, model_keys, drift_query.selection), drift_query.last)
        outside = [
            list(self._task.classes),
            list(drift["columns"]),
            [each.names for each in counts.values()],
            model_keys,
        ]
        with chart_style(json.dumps(outside, ensure_ascii=False)):
            charts = list(self._charts(rows, performance))
            for page, draw in enumerate(drift_charts(drift["columns"], counts), start=1):
                if drift["count"] or page == 1:
                    charts.append(_chart(f"Drift by column {page}", draw, None if drift["count"] else _EMPTY))
        return Report(performance, drift, charts)

    def _charts(self, rows: Rows, performance: Mapping[str, Any]) -> Iterator[Chart]:
        labelled = rows.take(rows.is_labelled)
        draws: dict[str, Draw] = {
            "Actual and predicted values": lambda: actual_and_predicted(labelled),
            "Prediction errors": lambda: errors(labelled, performance["error_quantiles"]),
        }
        if self._task.kind != "regression":
            draws = self._classifier(rows, labelled, performance)
        draws["Performance over time"] = lambda: self._over_time(labelled, performance["metrics"])
        draws["Label delay"] = lambda: label_delay(labelled, performance["label_delay"])
        for title, draw in draws.items():
            enough = len(labelled) or (title == _PROBABILITIES and len(rows))
            yield _chart(title, draw, None if enough else _UNLABELLED if len(rows) else _EMPTY)

    def _classifier(self, rows: Rows, labelled: Rows, performance: Mapping[str, Any]) -> dict[str, Draw]:
        binary = self._task.kind == "binary"
        side = labelled.truth == (self._task.positive_index if binary else labelled.predicted)
        of = f"class {plain(self._task.positive_class)}" if binary else "the predicted class"
        names = (f"true {of}", f"true class {plain(self._task.negative_class)}") if binary else ("correct", "wrong")
        groups = dict(zip(names, (labelled.output[side], labelled.output[~side]), strict=True))
        groups["no label yet"] = rows.output[~rows.is_labelled]
        draws: dict[str, Draw] = {
            "Calibration curve": lambda: calibration_curve(performance, of),
            _PROBABILITIES: lambda: probabilities(groups, of, performance["threshold"]),
            "Confusion matrix": lambda: confusion_matrix(**performance["confusion_matrix"]),
        }
        if binary:
            proba = labelled.output.clip(0.0, 1.0)
            draws["ROC and precision-recall"] = lambda: roc_and_precision_recall(side, proba, performance["metrics"])
        return draws

    def _over_time(self, labelled: Rows, overall: Mapping[str, Any]) -> Figure:
        metrics = _OVER_TIME[self._task.kind]
        window = _window(labelled.created)
        versions = self._versions(labelled)
        shown = versions[-len(SERIES) :]
        note = f"Model version, in time windows of {duration(WINDOW_SIZES[window][0] / 1e6)}"
        note += f" ({len(versions) - len(shown)} earlier not shown)" if len(shown) < len(versions) else ""
        series = {name: self._performance.series(labelled.take(mine), window) for name, mine in shown}
        return over_time(metrics, series, {name: overall[name]["training"] for name in metrics}, note)

    def _versions(self, rows: Rows) -> list[tuple[str, Array]]:
        """The model versions, the one used last at the end, and their rows as a mask."""
        names = np.array([version or "unknown" for version, _ in self._ledger.model_keys])
        masks = [
            (name, (names == name)[rows.model_key]) for name in np.unique(names[np.unique(rows.model_key)]).tolist()
        ]
        return sorted(masks, key=lambda each: int(rows.created[each[1]].max()))


def _chart(title: str, draw: Draw, missing: str | None) -> Chart:
    try:
        if missing is not None:
            raise NotDrawable(missing)
        return Chart(title, png(draw()))
    except NotDrawable as error:
        figure = Figure((6.4, 1.2))
        figure.text(0.5, 0.5, f"{title}: {error}", ha="center", va="center", color=DARK, wrap=True)
        return Chart(title, png(figure), str(error))


def _window(created: Array) -> str:
    """The shortest time window that divides the rows into few parts."""
    parts = ((name, np.unique((created - first) // size)) for name, (size, first) in WINDOW_SIZES.items())
    return next((name for name, found in parts if len(found) <= _MOST_WINDOWS), list(WINDOW_SIZES)[-1])
