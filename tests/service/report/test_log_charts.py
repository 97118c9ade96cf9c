"""Performance over time has readable times and, where there is one window only, readable values."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from service.monitoring.intervals import Array
from service.report.log_charts import duration, label_delay, over_time
from service.report.style import png
from service.storage.column_cache import Rows

START = datetime(2026, 1, 1, tzinfo=UTC)


def window(start: timedelta, value: float | None = 0.8) -> dict[str, Any]:
    metric = {"value": value, "low": None if value is None else value - 0.1, "high": None if value is None else 0.9}
    begin = START + start
    return {
        "from": begin.isoformat(),
        "to": (begin + timedelta(hours=1)).isoformat(),
        "metrics": {"accuracy": metric, "roc_auc": {"value": None, "low": None, "high": None}},
    }


def delays(seconds: list[float]) -> Rows:
    created: Array = np.zeros(len(seconds), np.int64)
    labelled = (np.array(seconds) * 1e6).astype(np.int64)
    return Rows(created, created, labelled, created, created, created, created * 0.5)


def test_a_single_window_is_a_point_with_its_value_and_interval() -> None:
    series = {"a": [window(timedelta())], "b": [window(timedelta(), 0.75)]}

    figure = over_time({"accuracy": "Accuracy"}, series, {"accuracy": 0.85}, "Model version")

    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["0.8\n(0.7 to 0.9)", "0.75\n(0.65 to 0.9)"]
    assert axes.get_ylabel() == "Accuracy"
    assert axes.yaxis.get_gridlines()[0].get_visible()
    assert axes.get_xlabel() == "Predictions from 2026-01-01 00:00 to 2026-01-01 01:00 UTC"
    assert png(figure)


@pytest.mark.parametrize(
    ("step", "labels"),
    [(timedelta(hours=1), {"02:00"}), (timedelta(days=1), {"05 Jan"}), (timedelta(days=40), {"Mar 2026", "Jul 2026"})],
)
def test_times_say_what_they_are(step: timedelta, labels: set[str]) -> None:
    series = {"a": [window(step * place) for place in range(7)]}

    figure = over_time({"accuracy": "Accuracy"}, series, {"accuracy": None}, "Model version")
    png(figure)

    assert not figure.axes[0].texts
    shown = {text.get_text() for text in figure.axes[0].get_xticklabels()}
    assert labels <= shown, shown


def test_each_window_with_a_value_is_a_point_with_its_interval() -> None:
    windows = [window(timedelta(days=day), value) for day, value in enumerate((0.8, None, 0.6))]

    figure: Any = over_time({"accuracy": "Accuracy"}, {"a": windows}, {"accuracy": None}, "Model version")

    (points,) = figure.axes[0].containers
    line, _, (bars,) = points
    assert line.get_ydata().tolist() == [0.8, 0.6]
    assert [bar[:, 1].tolist() for bar in bars.get_segments()] == [
        pytest.approx([0.7, 0.9]),
        pytest.approx([0.5, 0.9]),
    ]


def test_a_metric_that_no_window_defines_says_so() -> None:
    series = {"a": [window(timedelta()), window(timedelta(days=1), None)]}

    figure = over_time({"accuracy": "Accuracy", "roc_auc": "ROC AUC"}, series, {"accuracy": 0.8, "roc_auc": 0.9}, "")

    assert [text.get_text() for text in figure.axes[1].texts] == ["not defined in any window"]
    assert png(figure)


@pytest.mark.parametrize("seconds", [[-5.0, 0.0, 60.0], [0.103], [5.2, 5.3, 5.4], [1.0, 1e9]])
def test_every_delay_is_in_a_bar(seconds: list[float]) -> None:
    figure: Any = label_delay(delays(seconds), {"median": seconds[0], "p90": seconds[-1]})

    assert sum(figure.axes[0].containers[0].datavalues) == len(seconds)
    assert len(figure.axes[0].get_xticks()) <= 8
    assert all(float(tick).is_integer() for tick in figure.axes[0].get_yticks())
    assert png(figure)


def test_delays_of_months_are_labelled_in_days() -> None:
    figure: Any = label_delay(delays([86400 * 29.0, 86400 * 366.0]), {"median": 1.0, "p90": 1.0})

    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["30 d", "90 d", "180 d", "365 d"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1.0, "0 ms"), (0.0204, "20.4 ms"), (1.0, "1 s"), (3600.0, "1 h"), (86400 * 365.0, "365 d")],
)
def test_a_time_span_has_the_unit_that_suits_it(seconds: float, text: str) -> None:
    assert duration(seconds) == text
