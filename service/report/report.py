"""The report for people who would rather look than read: what GET /performance and GET /drift say of the log, as
pictures. Their figures are taken from there; nothing is computed a second way."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from serialize.manifest import Manifest
from service.cells import Cells
from service.comparison import Counts
from service.drift import Drift
from service.intervals import Array
from service.ledger import Ledger, Rows
from service.performance import WINDOW_SIZES, Performance, selected
from service.query import DriftQuery, PerformanceQuery
from service.report import classifier_charts as pictures
from service.report import curves
from service.report import log_charts as log_pictures
from service.report import regression_charts as number_pictures
from service.report.chart import Picture, picture, said, unlabelled
from service.report.curves import Bars
from service.report.style import SERIES, plain

MOST_DRIFT_PICTURES = 4

_BINS = 20
_FINE_BINS = 40
_MOST_POINTS_IN_TIME = 40
_IN_TIME = {
    "binary": ("accuracy", "roc_auc"),
    "multiclass": ("accuracy", "f1_macro"),
    "regression": ("mean_absolute_error", "bias"),
}
_VERDICTS = ("drifted", "watch", "ok", None)


@dataclass(frozen=True, slots=True)
class Report:
    """The answers of /performance and of /drift, and the pictures of them."""

    performance: Mapping[str, Any]
    drift: Mapping[str, Any]
    pictures: Sequence[Picture]


class Reporter:
    """Makes the report of a ledger for the model of a manifest, of the rows as they are at one moment."""

    def __init__(self, manifest: Manifest, performance: Performance, drift: Drift, ledger: Ledger) -> None:
        self._task = manifest.task
        self._performance = performance
        self._drift = drift
        self._ledger = ledger

    def report(self, query: PerformanceQuery, drift_query: DriftQuery) -> Report:
        """The report of both queries' rows."""
        all_rows = self._ledger.rows()
        rows = selected(all_rows, self._ledger.stamps, query.selection)
        performance = self._performance.of(rows, query)
        drift, counts = self._drift.examined(
            selected(all_rows, self._ledger.stamps, drift_query.selection), drift_query.last
        )
        found = [*self._answers(rows, performance), *self._log(rows, performance), *_drift(drift, counts)]
        return Report(performance, drift, found)

    def _answers(self, rows: Rows, performance: Mapping[str, Any]) -> Iterator[Picture]:
        labelled = rows.take(rows.is_labelled)
        match self._task.kind:
            case "binary":
                yield from self._binary(rows, labelled, performance)
            case "multiclass":
                yield from self._multiclass(rows, labelled, performance)
            case "regression":
                yield from _regression(labelled, performance)

    def _binary(self, rows: Rows, labelled: Rows, performance: Mapping[str, Any]) -> Iterator[Picture]:
        positive = plain(self._task.positive_class)
        truth = labelled.truth == self._task.positive_index
        yield _reliability(performance, f"class {positive}", len(rows), len(labelled))
        yield self._curves(labelled, truth, performance, len(rows))
        names = ((f"true class {positive}", True), (f"true class {plain(self._task.negative_class)}", False))
        groups = [(name, _shares(labelled.output[truth == side])) for name, side in names]
        yield self._scores(rows, groups, f"class {positive}", performance["threshold"])
        yield _confusion(performance, len(rows), len(labelled))

    def _curves(self, labelled: Rows, truth: Array, performance: Mapping[str, Any], count: int) -> Picture:
        both = 0 < int(truth.sum()) < len(truth)
        missing = unlabelled(count, len(labelled)) or (None if both else "All labels are of one class so far.")

        def draw() -> Figure:
            cells = Cells.of(labelled.output.clip(0.0, 1.0), truth)
            areas = [said(performance["metrics"][name]) for name in ("roc_auc", "average_precision")]
            lines = curves.roc(cells), curves.precision_recall(cells)
            return pictures.curves(lines[0], areas[0], lines[1], areas[1], float(truth.mean()))

        text = "Whether the probabilities tell the classes apart, at every threshold; in brackets 95 % intervals."
        return picture("curves", "ROC and precision-recall", text, missing, draw)

    def _scores(self, rows: Rows, groups: list[tuple[str, Bars]], of: str, threshold: float | None = None) -> Picture:
        waiting = rows.output[~rows.is_labelled]
        shown = [*groups, *([("no label yet", _shares(waiting))] if len(waiting) else [])]
        text = "How many predictions were given which probability, by what was true of them later."
        missing = None if len(rows) else unlabelled(0, 0)
        return picture("scores", "Scores", text, missing, lambda: pictures.scores(shown, of, threshold))

    def _multiclass(self, rows: Rows, labelled: Rows, performance: Mapping[str, Any]) -> Iterator[Picture]:
        missing = unlabelled(len(rows), len(labelled))
        yield _confusion(performance, len(rows), len(labelled))
        text = "Precision, recall and F1 of each class, with 95 % intervals and the number of its labels."
        found = performance["classes"]
        yield picture("classes", "Classes", text, missing, lambda: pictures.classes(found))
        yield _reliability(performance, "the predicted class", len(rows), len(labelled))
        right = labelled.truth == labelled.predicted
        groups = [(name, _shares(labelled.output[right == side])) for name, side in (("right", True), ("wrong", False))]
        yield self._scores(rows, groups, "the predicted class")

    def _log(self, rows: Rows, performance: Mapping[str, Any]) -> Iterator[Picture]:
        labelled = rows.take(rows.is_labelled)
        missing = unlabelled(len(rows), len(labelled))
        yield self._over_time(labelled, performance, missing)
        seconds = (labelled.labelled - labelled.created) / 1e6
        delay = performance["label_delay"]
        text = "How long it took until the (last) label came, on a logarithmic axis."
        yield picture(
            "delay",
            "Label delay",
            text,
            missing,
            lambda: log_pictures.label_delay(curves.delays(seconds, _FINE_BINS), delay["median"], delay["p90"]),
        )

    def _over_time(self, labelled: Rows, performance: Mapping[str, Any], missing: str | None) -> Picture:
        metrics = _IN_TIME[self._task.kind]
        training = {name: performance["metrics"][name]["training"] for name in metrics}
        window = _window(labelled.created)
        versions = self._versions(labelled)
        shown = dict(list(versions.items())[-len(SERIES) :])
        left = len(versions) - len(shown)
        text = f"Of windows of {window}, by the time of the answer and the version that gave it, with 95 % intervals."
        text += f" The {left} versions used longest ago are left out." if left > 0 else ""

        def draw() -> Figure:
            series = {name: self._performance.series(labelled.take(mine), window) for name, mine in shown.items()}
            return log_pictures.over_time(metrics, series, training)

        return picture("time", "Performance over time", text, missing, draw)

    def _versions(self, rows: Rows) -> dict[str, Array]:
        """Which rows are of which model version; the version used last comes last."""
        masks: dict[str, Array] = {}
        for place in np.unique(rows.stamp).tolist():
            version = self._ledger.stamps[place][0] or "not known"
            masks[version] = masks.get(version, np.zeros(len(rows), dtype=bool)) | (rows.stamp == place)
        return dict(sorted(masks.items(), key=lambda item: int(rows.created[item[1]].max())))


def _regression(labelled: Rows, performance: Mapping[str, Any]) -> Iterator[Picture]:
    assert labelled.target is not None
    predicted, true = labelled.output, labelled.target
    missing = unlabelled(performance["count"], len(labelled))
    if missing is None and not curves.drawable(predicted, true):
        missing = "Some values are too large to draw."
    text = "What was predicted against what was true; on the dashed line it was predicted as it was."
    yield picture(
        "predicted",
        "Predicted against true",
        text,
        missing,
        lambda: number_pictures.predicted_against_true(predicted, true),
    )
    text = "How far off the predictions were, and in which direction."
    found = performance["error_quantiles"]
    yield picture(
        "errors",
        "Errors",
        text,
        missing,
        lambda: number_pictures.errors(curves.errors(predicted, true, _FINE_BINS), found),
    )


def _reliability(performance: Mapping[str, Any], of: str, count: int, labelled: int) -> Picture:
    error = performance["metrics"]["expected_calibration_error"]
    text = f"Whether what is given a probability of 0.7 is so 7 times in 10, by the probability of {of}."
    text += f" Expected calibration error {said(error)}." if labelled else ""

    def draw() -> Figure:
        return pictures.reliability(performance["calibration"]["bins"], of)

    return picture("reliability", "Reliability", text, unlabelled(count, labelled), draw)


def _confusion(performance: Mapping[str, Any], count: int, labelled: int) -> Picture:
    found = performance["confusion_matrix"]
    text = "How often each true class, by row, was answered with each class; the shares are of the row."
    return picture(
        "confusion",
        "Confusion matrix",
        text,
        unlabelled(count, labelled),
        lambda: pictures.confusion_matrix(found["labels"], found["counts"]),
    )


def _drift(drift: Mapping[str, Any], counts: Mapping[str, Counts]) -> Iterator[Picture]:
    """The columns, those with the gravest verdict first, so many a picture."""
    columns = drift["columns"]
    names = sorted(columns, key=lambda name: _VERDICTS.index(columns[name]["verdict"]))
    size = log_pictures.PANELS
    text = f"The {drift['compared']:,} observations compared (blue) beside those of the training (grey)"
    kept = names[: MOST_DRIFT_PICTURES * size] if drift["count"] else names[:size]
    left = len(names) - len(kept)
    text += f"; {left} columns less changed are in the table only." if drift["count"] and left > 0 else "."
    missing = None if drift["count"] else unlabelled(0, 0)
    for page, start in enumerate(range(0, len(kept), size), start=1):
        panels = [(name, columns[name], counts.get(name)) for name in kept[start : start + size]]
        title = "Drift by column" + (f" ({page})" if page > 1 else "")
        yield picture(f"drift-{page}", title, text, missing, lambda panels=panels: log_pictures.drift(panels))  # type: ignore[misc]


def _window(created: Array) -> str:
    """The shortest window that cuts the rows into few parts."""
    for name, (size, first) in WINDOW_SIZES.items():
        if len(np.unique((created - first) // size)) <= _MOST_POINTS_IN_TIME:
            return name
    return list(WINDOW_SIZES)[-1]


def _shares(probabilities: Array) -> Bars:
    return curves.histogram(probabilities, _BINS, 0.0, 1.0)
