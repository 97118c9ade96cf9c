"""Drawn tasks, ids and scores for the tests of arrays by column, and the same scores one by one."""

from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from serialize.task import Label, Task
from service.prediction.columns import ScoreColumns
from service.prediction.observation import ObservationId
from service.prediction.scoring import Score

# Around the sizes at which the two forms of a number begin to differ, and the ends of what a float can be.
SPECIAL = [0.0, -0.0, 5e-324, 2.2e-308, 1e-7, 9.9e-05, 0.0001, 0.1, 1.0, 9999999999999998.0, 1e16, 1.5e22, 1.7e308]
NUMBERS = (
    st.floats(0.0, 1.0)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([*SPECIAL, *(-x for x in SPECIAL)])
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=6)
NASTY = st.sampled_from(['"', "\\", "a\nb", "\x7f", "\x1f", "é", "🚢", "</script>", "{", ", ", "1", "1.0", "true"])
IDS = st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(codec="ascii"), min_size=1) | TEXTS | NASTY
LABELS: list[st.SearchStrategy[Any]] = [TEXTS | NASTY, st.integers(-(2**63), 2**63), NUMBERS, st.sampled_from([1, "1"])]


class Drawn(NamedTuple):
    """n different ids and the scores of their observations."""

    task: Task
    ids: list[ObservationId]
    scores: ScoreColumns


@st.composite
def drawn(draw: st.DrawFn, least: int = 1) -> Drawn:
    """Scores for a task of any kind, with numbers of any size."""
    task = draw(tasks())
    ids = draw(st.lists(IDS, min_size=least, max_size=8, unique=True))
    return Drawn(task, ids, draw(score_columns(task, len(ids))))


@st.composite
def tasks(draw: st.DrawFn) -> Task:
    """A task of any kind, with labels of any type."""
    kind = draw(st.sampled_from(["binary", "multiclass", "regression"]))
    if kind == "regression":
        return Task("regression")
    few = kind == "binary"
    labels: list[Label] = draw(st.sampled_from([False, True]).flatmap(lambda flags: _labels(flags and few)))
    classes = tuple(labels[:2]) if few else (*labels, "another class")
    return Task("binary", classes, classes[0], 0.5) if few else Task("multiclass", classes)


@st.composite
def score_columns(draw: st.DrawFn, task: Task, n: int) -> ScoreColumns:
    """The scores of n observations. All numbers are drawn apart, so that one in a wrong place is seen."""
    numbers = draw(st.lists(NUMBERS, min_size=n, max_size=n))
    if task.kind == "regression":
        return ScoreColumns(numbers)
    size = len(task.classes)
    indices = draw(st.lists(st.integers(0, size - 1), min_size=n, max_size=n))
    if task.kind == "binary":
        return ScoreColumns(numbers, indices)
    probas = draw(st.lists(NUMBERS, min_size=n * size, max_size=n * size))
    return ScoreColumns(numbers, indices, np.array(probas).reshape(n, size))


def each_score(task: Task, scores: ScoreColumns) -> list[Score]:
    """The same scores one by one."""
    if scores.class_indices is None:
        return [Score(predicted_value=number) for number in scores.numbers]
    classes = [task.classes[index] for index in scores.class_indices]
    if scores.probas is None:
        return list(map(Score, classes, scores.numbers))
    probas = [dict(zip(map(str, task.classes), row, strict=True)) for row in scores.probas.tolist()]
    return list(map(Score, classes, scores.numbers, probas))


def _labels(flags: bool) -> st.SearchStrategy[list[Label]]:
    """At least two labels of one type, or 1 and "1"."""
    if flags:
        return st.permutations([False, True])
    return st.sampled_from(LABELS).flatmap(lambda each: st.lists(each, min_size=2, max_size=4, unique=True))
