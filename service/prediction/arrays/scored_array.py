"""Observations by column with their scores, from the call of the model to the answer."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise

from serialize.signature import Scalar
from serialize.task import Label, Task
from service.prediction.arrays.answers import answer
from service.prediction.arrays.rows import row_columns
from service.prediction.columns import ObservationColumns, RowColumns, ScoreColumns
from service.prediction.scoring import Scorer


@dataclass(frozen=True, slots=True, eq=False)
class ScoredArray:
    """The observations of one array, with their scores by a model with this task."""

    task: Task
    observations: ObservationColumns
    scores: ScoreColumns

    def rows(self) -> RowColumns:
        """What the log stores of them."""
        return row_columns(self.task, self.observations, self.scores)

    def answer(self, row_ids: Sequence[int]) -> bytes:
        """The body of the answer, if the log has stored all of them under these ids."""
        return answer(self.task, self.observations.ids, self.observations.keys, row_ids, self.scores)

    def predicted_classes(self) -> Counter[Label | None]:
        """The number of observations of each predicted class; None stands for a predicted value."""
        indices = self.scores.class_indices
        if indices is None:
            return Counter({None: len(self.observations)})
        return Counter({self.task.classes[i]: number for i, number in Counter(indices).items()})


def score_arrays(scorer: Scorer, arrays: Sequence[ObservationColumns]) -> list[ScoredArray | None]:
    """Scores arrays in one call of the model. None stands for an array that the model cannot score as a whole."""
    scored: list[ScoreColumns | None]
    if len(arrays) > 1:
        try:
            scored = list(_parts(scorer.score_columns(_joined(arrays)), list(map(len, arrays))))
        except Exception:  # noqa: BLE001 - a model may raise anything
            scored = [_score_alone(scorer, array) for array in arrays]
    else:
        scored = [_score_alone(scorer, array) for array in arrays]
    pairs = zip(arrays, scored, strict=True)
    return [None if scores is None else ScoredArray(scorer.task, array, scores) for array, scores in pairs]


def _score_alone(scorer: Scorer, array: ObservationColumns) -> ScoreColumns | None:
    try:
        return scorer.score_columns(array.values)
    except Exception:  # noqa: BLE001 - scoring its items one by one raises it again
        return None


def _joined(arrays: Sequence[ObservationColumns]) -> Mapping[str, Sequence[Scalar]]:
    return {name: list(chain.from_iterable(array.values[name] for array in arrays)) for name in arrays[0].values}


def _parts(scores: ScoreColumns, lengths: Sequence[int]) -> list[ScoreColumns]:
    """The scores of each of the joined arrays."""
    numbers, indices, probas = scores
    return [
        ScoreColumns(
            numbers[start:stop],
            None if indices is None else indices[start:stop],
            None if probas is None else probas[start:stop],
        )
        for start, stop in pairwise(accumulate(lengths, initial=0))
    ]
