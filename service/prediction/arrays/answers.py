"""The answer to POST /predict for an array of new predictions, made without a record for each item. The bytes are those
that the JSON encoder writes for the answers of the records."""

import json
from collections.abc import Sequence
from io import BytesIO

from pydantic_core import to_json

from serialize.task import Task
from service.prediction.arrays.number_text import answer_texts
from service.prediction.arrays.probas import columns_by_name, texts_by_class
from service.prediction.arrays.template import blocks, filled
from service.prediction.columns import ScoreColumns
from service.prediction.observation import ObservationId

_DELETE = "\x7f"  # canonical JSON has it as it is, like the characters outside of ASCII


def answer(
    task: Task, ids: Sequence[ObservationId], keys: Sequence[str], row_ids: Sequence[int], scores: ScoreColumns
) -> bytes:
    """The JSON array of n new predictions, which have no true label, and a line feed. `keys` are the `ids` as canonical
    JSON, `row_ids` the ids of the rows in the log. All numbers of the scores are finite."""
    columns = columns_by_name(task) if task.kind == "multiclass" else {}
    before, after = _template(task, list(columns))
    labels = list(map(json.dumps, task.classes))
    body = BytesIO()  # which grows in place: to join long texts takes fresh memory for each copy, and so twice the time
    body.write(b"[")
    for block in blocks(len(keys), 1 + len(columns)):
        parts = [_integers(row_ids[block]), _ids(ids[block], keys[block])]
        if scores.class_indices is not None:
            parts.append(list(map(labels.__getitem__, scores.class_indices[block])))
        parts.append(answer_texts(scores.numbers[block]))
        if scores.probas is not None:
            parts += texts_by_class(scores.probas[block], list(columns.values()), answer_texts)
        if block.start > 0:
            body.write(b", ")
        body.write(filled(before, parts, after, ", ").encode())
    body.write(b"]\n")
    return body.getvalue()


def _template(task: Task, names: Sequence[str]) -> tuple[list[str], str]:
    """What stands before each value of an answer, and after the last one."""
    before = ['{"id": ', ', "observation_id": ']
    if task.kind == "regression":
        return [*before, ', "predicted_value": '], ', "true_value": null}'
    before += [', "predicted_class": ', ', "proba": ']
    unlabelled = ', "true_class": null'
    if task.kind == "binary":
        return before, unlabelled + "}"
    first, *others = [f"{json.dumps(name)}: " for name in names]
    return [*before, f'{unlabelled}, "probas": {{{first}', *(f", {other}" for other in others)], "}}"


def _integers(values: Sequence[int]) -> list[str]:
    return to_json(list(values))[1:-1].decode().split(",")


def _ids(ids: Sequence[ObservationId], keys: Sequence[str]) -> Sequence[str]:
    """The ids as JSON of ASCII characters."""
    text = "".join(keys)
    return keys if text.isascii() and _DELETE not in text else list(map(json.dumps, ids))
