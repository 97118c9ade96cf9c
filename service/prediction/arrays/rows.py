"""The new rows of the log for an array of predictions, by column of the table."""

from serialize.task import Outputs, Task
from service.prediction.arrays.number_text import log_texts
from service.prediction.arrays.probas import columns_by_name, texts_by_class
from service.prediction.arrays.template import blocks, filled
from service.prediction.columns import ObservationColumns, RowColumns, ScoreColumns
from service.prediction.observation import canonical

_LINE_FEED = "\n"  # JSON escapes it in each string


def row_columns(task: Task, observations: ObservationColumns, scores: ScoreColumns) -> RowColumns:
    """The rows of n observations with their scores, whose numbers are all finite. The values are those that the log has
    for a record: `predicted_class` and `probas` are canonical JSON."""
    if scores.class_indices is None:
        return RowColumns(observations.keys, observations.texts, predicted_value=scores.numbers)
    labels = list(map(canonical, task.classes))
    classes = list(map(labels.__getitem__, scores.class_indices))
    probas = None if scores.probas is None else _probas(task, scores.probas)
    return RowColumns(observations.keys, observations.texts, scores.numbers, probas, classes)


def _probas(task: Task, outputs: Outputs) -> list[str]:
    """The probabilities of n observations, of shape (n, n_classes), as n JSON objects by class."""
    columns = columns_by_name(task)
    first, *others = [f"{canonical(name)}:" for name in columns]
    before = ["{" + first, *(f",{other}" for other in others)]
    texts: list[str] = []
    for block in blocks(len(outputs), len(columns)):
        by_class = texts_by_class(outputs[block], list(columns.values()), log_texts)
        texts += filled(before, by_class, "}", _LINE_FEED).split(_LINE_FEED)
    return texts
