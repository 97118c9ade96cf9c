"""The gate lets a challenger pass only if it is better by more than the margin on enough rows that stand for all."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from service.learning.gate.case import Case
from service.learning.gate.judge import judge
from service.learning.gate.losses import GateError
from tests.service.learning.gate.cases import better, binary

GROUPS = np.repeat(["a", "b"], 200)


def test_a_challenger_that_is_much_better_passes_with_all_figures() -> None:
    case = better(champion_classes=np.ones(400, int), challenger_classes=np.zeros(400, int))

    verdict = judge(replace(case, coverage={True: (180, 200), False: (220, 250)}, guards={"Sex": GROUPS}))

    assert verdict.outcome == "better"
    figures = json.loads(json.dumps(verdict.to_json(), allow_nan=False))["figures"]
    assert (figures["loss"], figures["rows"], figures["level"], figures["attempt"]) == ("brier_score", 400, 0.025, 1)
    assert figures["low"] < figures["difference"] < figures["high"] < -0.01 * figures["champion"]
    assert figures["log_loss"]["challenger"] < figures["log_loss"]["champion"]
    assert figures["expected_calibration_error"]["challenger"] < figures["expected_calibration_error"]["champion"]
    assert figures["predicted_positive"] == {"champion": 1.0, "challenger": 0.0}
    assert figures["coverage"][0] == {"predicted_class": True, "labelled": 180, "all": 200, "share": 0.9}
    assert [(group["column"], group["value"], group["rows"]) for group in figures["guards"]] == [
        ("Sex", "a", 200),
        ("Sex", "b", 200),
    ]


@pytest.mark.parametrize("margin", [0.01, 0.0])
def test_the_same_model_is_not_better(margin: float) -> None:
    case = binary()

    verdict = judge(replace(case, challenger=case.champion, margin=margin))

    assert verdict.outcome == "not better"
    assert (verdict.figures["difference"], verdict.figures["low"], verdict.figures["high"]) == (0.0, 0.0, 0.0)


def test_a_model_of_the_same_quality_and_a_worse_one_are_not_better() -> None:
    assert judge(binary()).outcome == "not better"
    assert judge(binary(champion_noise=0.1, challenger_noise=3.0)).outcome == "not better"


def test_the_whole_interval_must_be_beyond_the_margin() -> None:
    case = better()
    found = judge(case).figures
    edge = -found["high"] / found["champion"]

    assert judge(replace(case, margin=edge * 0.999)).outcome == "better"
    assert judge(replace(case, margin=edge * 1.001)).outcome == "not better"
    with pytest.raises(GateError, match="margin"):
        judge(replace(case, margin=-0.1))


def test_a_later_attempt_needs_more_proof() -> None:
    case = better()
    found = judge(case).figures
    just_enough = replace(case, margin=-0.99 * found["high"] / found["champion"])

    assert [judge(replace(just_enough, attempt=attempt)).outcome for attempt in (1, 3)] == ["better", "not better"]


def test_all_that_is_missing_is_said_at_once() -> None:
    case = better(150, clusters=np.zeros(150), new_labels=30)
    truth = np.where(np.arange(150) < 5, 1, 0)

    verdict = judge(replace(case, truth=truth))

    assert verdict.outcome == "not enough"
    assert verdict.reason == (
        "There is not enough to decide: 150 of at least 200 labelled rows to compare on; "
        "5 of at least 20 rows outside the largest class; 30 of at least 200 rows labelled since the last attempt; "
        "1 of at least 20 groups of the cluster column."
    )
    assert verdict.figures["low"] is None


@pytest.mark.parametrize(("rows", "outcome"), [(199, "not enough"), (200, "better")])
def test_two_hundred_rows_are_enough(rows: int, outcome: str) -> None:
    assert judge(better(rows)).outcome == outcome


def test_twenty_rows_outside_the_largest_class_are_enough() -> None:
    for others, is_enough in ((0, False), (19, False), (20, True)):
        truth = np.where(np.arange(400) < others, 1, 0)
        assert (judge(replace(better(), truth=truth)).outcome != "not enough") == is_enough


def test_no_row_is_not_enough() -> None:
    nothing = np.zeros(0)

    verdict = judge(Case("binary", nothing, nothing, nothing))

    assert verdict.outcome == "not enough"
    assert json.dumps(verdict.to_json(), allow_nan=False)
    assert verdict.figures["difference"] is None


def test_a_new_attempt_needs_two_hundred_new_labels() -> None:
    assert judge(better(attempt=2, new_labels=199)).outcome == "not enough"
    assert judge(better(attempt=2, new_labels=200)).outcome == "better"


def test_labels_that_depend_on_the_prediction_end_the_comparison() -> None:
    apart = judge(better(coverage={"survived": (71, 100), "died": (50, 100)}))

    assert apart.outcome == "labels depend on the answer"
    assert "71% of the rows with the predicted class survived have a label, but only 50%" in apart.reason
    assert judge(better(coverage={True: (90, 100), False: (70, 100)})).outcome == "better"  # exactly 20 points


def test_the_coverage_of_a_class_that_was_hardly_ever_predicted_is_not_compared() -> None:
    assert judge(better(coverage={"a": (90, 100), "b": (80, 100), "c": (0, 19)})).outcome == "better"
    assert judge(better(coverage={"a": (90, 100), "b": (0, 0)})).outcome == "better"


def test_rows_of_few_clusters_weigh_as_clusters() -> None:
    case = better(2_000)
    many = np.arange(2_000) // 4

    assert judge(replace(case, clusters=many)).outcome == "better"
    assert judge(replace(case, clusters=many)).figures["clusters"] == 500
    assert judge(replace(case, clusters=many % 19)).outcome == "not enough"


def test_a_group_that_gets_worse_stops_a_challenger_that_is_better_on_all_rows() -> None:
    case = better(1_000)
    small = np.arange(1_000) < 120
    challenger = np.where(small, 1.0 - case.truth, case.challenger)  # always wrong in the small group
    groups = np.where(small, "minority", "majority")

    verdict = judge(replace(case, challenger=challenger, guards={"Group": groups}))

    assert verdict.outcome == "guarded group is worse"
    assert "Group = minority" in verdict.reason
    assert [group["is_worse"] for group in verdict.figures["guards"]] == [True, False]
    too_small = np.where(np.arange(1_000) < 99, "minority", "majority")
    assert judge(replace(case, guards={"Group": too_small})).outcome == "better"


def test_a_guard_without_a_large_group_is_said_to_be_untested() -> None:
    verdict = judge(better(guards={"Ticket": np.arange(400)}))

    assert verdict.outcome == "better"
    assert "The guard Ticket has no group of at least 100 rows and was not tested." in verdict.reason


def test_several_classes_are_judged_by_the_sum_form() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 600)
    good, poor = (
        0.6 * np.eye(3)[truth] * share + rng.dirichlet([1, 1, 1], 600) * (1 - 0.6 * share) for share in (1, 0)
    )

    verdict = judge(Case("multiclass", truth, poor, good))

    assert verdict.outcome == "better"
    assert verdict.figures["champion"] == pytest.approx(((poor - np.eye(3)[truth]) ** 2).sum(axis=1).mean())
    assert verdict.figures["predicted_positive"] == {"champion": None, "challenger": None}
    assert verdict.figures["log_loss"]["challenger"] < verdict.figures["log_loss"]["champion"]


def test_a_regression_is_judged_by_squared_errors_and_needs_no_classes() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=400)

    verdict = judge(Case("regression", truth, truth + rng.normal(size=400), truth + 0.3 * rng.normal(size=400)))

    assert (verdict.outcome, verdict.figures["loss"]) == ("better", "squared_error")
    assert verdict.figures["log_loss"] == {"champion": None, "challenger": None}


@pytest.mark.long
def test_equal_regressions_with_heavy_tails_are_not_better_more_often_than_the_level_says() -> None:
    rng = np.random.default_rng(0)
    better = 0
    for _ in range(100):
        truth = rng.standard_t(2.1, 200)  # its variance hardly exists
        champion, challenger = 0.5 * rng.normal(size=(2, 200))
        better += judge(Case("regression", truth, champion, challenger, margin=0.0)).outcome == "better"

    assert better <= 7  # 2.5 are expected at a level of 2.5 %; 7 is three deviations above


def test_one_wild_error_of_the_champion_does_not_make_a_challenger_better() -> None:
    rng = np.random.default_rng(0)
    truth, champion, challenger = rng.normal(size=(3, 400))
    champion[0] = 1_000.0

    verdict = judge(Case("regression", truth, champion, challenger))

    assert verdict.figures["difference"] < -1_000
    assert verdict.outcome == "not better"


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("whose", ["champion", "challenger"])
def test_a_prediction_that_is_not_finite_is_refused_by_name(whose: str, wrong: float) -> None:
    case = better()
    outputs = getattr(case, whose).copy()
    outputs[3] = wrong
    changed: dict[str, Any] = {whose: outputs}

    with pytest.raises(GateError, match=f"The output of the {whose} is NaN or infinite at 1 place"):
        judge(replace(case, **changed))


def test_a_column_of_another_length_is_refused() -> None:
    with pytest.raises(GateError, match=r"guard Sex has shape \(3,\); expected \(400,\)"):
        judge(better(guards={"Sex": np.zeros(3)}))


def test_the_same_rows_have_the_same_verdict_in_any_order() -> None:
    case = binary()
    order = np.random.default_rng(1).permutation(400)
    shuffled = replace(case, truth=case.truth[order], champion=case.champion[order], challenger=case.challenger[order])

    first, second = judge(case).figures, judge(shuffled).figures

    assert [first[name] for name in ("difference", "low", "high")] == [
        second[name] for name in ("difference", "low", "high")
    ]


def test_an_answer_of_exactly_zero_does_not_decide_the_log_loss() -> None:
    case = better()
    challenger = case.challenger.copy()
    challenger[0] = 1.0 - case.truth[0]

    shown = judge(replace(case, challenger=challenger)).figures["log_loss"]["challenger"]

    assert shown - judge(case).figures["log_loss"]["challenger"] < 14 / 400
