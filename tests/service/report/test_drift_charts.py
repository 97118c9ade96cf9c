"""Drift charts mark the rows that lie outside what the training data had."""

from typing import Any

import numpy as np
import pytest

from service.monitoring.comparison import Counts, compare_numbers
from service.report.drift_charts import MOST_CHARTS, drift_charts
from service.report.style import png


def column(verdict: str | None = "ok", **more: Any) -> dict[str, Any]:
    return {"kind": "number", "verdict": verdict, "changes": [], "null_rate": 0.0, "reference_null_rate": 0.0, **more}


def chart(counts: Counts | None, **more: Any) -> Any:
    (draw,) = drift_charts({"x": column(**more)}, {} if counts is None else {"x": counts})
    figure = draw()
    assert png(figure)
    return figure


def test_rows_beyond_the_outermost_bins_are_marked_at_the_edge_of_the_axis() -> None:
    counts = Counts(np.array([20, 30, 50]), np.array([10, 10, 10]), edges=[0.0, 1.0, 2.0, 3650.0], below=5, above=40)

    figure = chart(counts, verdict="drifted")

    assert [text.get_text() for text in figure.axes[0].texts] == ["◀ 5.0%", "40.0% ▶"]
    bars = [bar.get_height() for group in figure.axes[0].containers for bar in group.patches]
    assert bars == pytest.approx([1 / 3] * 3 + [0.15, 0.3, 0.1] + [0.05, 0.4])
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["0", "2", "3,650"]


def test_the_comparison_counts_the_rows_below_and_above() -> None:
    profile = {
        "quantiles": [0.0, *np.linspace(0, 10, 99).tolist(), 10.0],
        "bins": {"edges": [0.0, 5.0, 10.0], "counts": [50, 50]},
    }

    counts = compare_numbers(profile, np.array([-1.0, 0.0, 3.0, 10.0, 11.0, 12.0]), 100, 1).counts

    assert counts is not None
    assert (counts.below, counts.above, counts.live.tolist()) == (1, 2, [3, 3])


def test_a_column_of_a_model_without_a_reference_is_drawn_without_a_comparison() -> None:
    without = {name: value for name, value in column(None, null_rate=0.5).items() if name != "reference_null_rate"}

    (draw,) = drift_charts({"x": without}, {})
    figure = draw()

    assert png(figure)
    assert figure.axes[0].get_title() == "x\nnot tested"


def test_a_column_with_one_value_is_drawn() -> None:
    figure = chart(Counts(np.array([10]), np.array([20]), edges=[7.0], below=4, above=6))

    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["7"]
    assert len(figure.axes[0].texts) == 2


def test_times_are_labelled_as_dates() -> None:
    binned = Counts(np.array([10, 10]), np.array([20, 20]), edges=[0.0, 86_400.0, 131_400.0])
    listed = Counts(np.array([10, 10, 0]), np.array([20, 20, 0]), names=[0.0, 1717158600.0])

    ticks = [text.get_text() for text in chart(binned, kind="datetime").axes[0].get_xticklabels()]
    names = [text.get_text() for text in chart(listed, kind="datetime").axes[0].get_yticklabels()]

    assert ticks == ["1970-01-01", "1970-01-02", "1970-01-02\n12:30:00"]
    assert names == ["1970-01-01", "2024-05-31T12:30:00"]


def test_categories_that_the_training_did_not_have_are_marked() -> None:
    live, reference = np.array([*[10] * 9, 10]), np.array([*[10] * 9, 0])

    figure = chart(Counts(live, reference, names=[f"name {place}" for place in range(9)]))

    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert names == [*(f"name {place}" for place in range(7)), "(other)", "(unseen)"]
    there, here, unseen = ([bar.get_width() for bar in group.patches] for group in figure.axes[0].containers)
    assert (sum(there), sum(here) + sum(unseen)) == (pytest.approx(1.0), pytest.approx(1.0))
    assert unseen == [pytest.approx(0.1)]
    assert all(bar.get_height() < 1 for group in figure.axes[0].containers for bar in group.patches)  # none overlap


def test_a_column_without_values_says_so() -> None:
    figure = chart(None, verdict=None)

    assert [text.get_text() for text in figure.axes[0].texts] == ["no values to show"]
    assert "not tested" in figure.axes[0].get_title()


def test_the_most_drifted_columns_come_first_and_there_are_not_too_many() -> None:
    columns = {f"c{place}": column(verdict) for place, verdict in enumerate([None, "ok", "watch", "drifted"] * 20)}

    draws = list(drift_charts(columns, {}))

    assert len(draws) == MOST_CHARTS
    titles = [axes.get_title().split("\n")[1] for axes in draws[0]().axes]
    assert titles == ["drifted"] * 9


def test_the_legend_names_what_the_bars_are_and_text_is_drawn_by_its_length() -> None:
    counts = Counts(np.array([20, 30]), np.array([10, 10]), edges=[0.0, 1.0, 2.0], above=5)

    text, numbers = chart(counts, kind="text"), chart(counts)

    names = [name.get_text() for name in text.legends[0].get_texts()]
    assert names == ["Share of training rows", "Share of log rows", "Log rows outside the training data"]
    assert [figure.axes[0].get_xlabel() for figure in (text, numbers)] == ["length in characters", ""]
