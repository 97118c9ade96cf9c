"""Parses an array of true labels at once, or not at all: then `LabelParser` says what is wrong."""

from serialize.task import Task
from service.prediction.arrays.array_decoder import INT64, ArrayDecoder
from service.prediction.true_label import LabelParser, TrueLabel


class LabelArrayParser:
    """Parses arrays of labels for the task of the model."""

    def __init__(self, task: Task) -> None:
        self._labels = LabelParser(task)
        # No class is an integer of more than 64 bits, and a longer one takes long to read.
        value = float if task.kind == "regression" else bool | INT64 | float | str
        self._decoder = ArrayDecoder(self._labels.name, value)

    def parse(self, body: bytes) -> tuple[TrueLabel, ...] | None:
        """The n labels of a body, as LabelParser gives them. None for a body that is not surely an array of one or more
        valid labels for n different ids. Never raises."""
        items = self._decoder.decode(body)
        if items is None:
            return None
        labels = [label for value in items.members if (label := self._labels.label(value)) is not None]
        return tuple(map(TrueLabel, items.keys, labels)) if len(labels) == len(items.keys) else None
