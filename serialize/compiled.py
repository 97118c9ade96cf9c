"""A compiled model where it serves: ONNX Runtime on one thread, from observations to outputs.

Of n observations it is given the numbers, of shape (columns, n), a null as NaN, and the codes, of shape (columns, n),
each the row of a table in which the value is found."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Self

import numpy as np
import onnxruntime

from serialize.errors import ArtifactError, said
from serialize.frame import Row
from serialize.signature import Scalar, Signature
from serialize.task import Outputs, Task

NUMBERS, CODES = "numbers", "codes"
INPUTS_KEY = "inputs"

_ERRORS_ONLY = 3


class CompiledModel:
    """Answers as the pipeline that it was compiled from. It starts no thread, and a process may fork with it."""

    def __init__(self, content: bytes, task: Task, signature: Signature) -> None:
        """Raises ArtifactError where `content` is no compiled model, or one of another pipeline."""
        try:
            self._session = onnxruntime.InferenceSession(content, _options(), providers=["CPUExecutionProvider"])
            inputs = Inputs.from_json(self._session.get_modelmeta().custom_metadata_map[INPUTS_KEY])
        except Exception as error:
            raise ArtifactError(f"The compiled model cannot be read ({said(error)}); dump the model again.") from error
        width = self._session.get_outputs()[0].shape[1]
        if not inputs.columns <= set(signature.names) or width != (len(task.classes) or 1):
            raise ArtifactError("The compiled model is of another model than the pipeline; dump the model again.")
        self._feeder = Feeder(inputs)

    def outputs(self, rows: Sequence[Row]) -> Outputs:
        """The answers for n observations of the signature's kind, as `Model.outputs` gives them: probabilities of
        shape (n, n_classes) in the order of `task.classes`, or predicted values of shape (n, 1). Raises ValueError
        for observations that the pipeline refuses, or has no finite number for."""
        outputs: Outputs = self._session.run(None, self._feeder.tensors(rows))[0]
        if not np.isfinite(outputs).all():
            raise ValueError("The model has no finite number for an observation.")
        return outputs


class Codes(dict[Scalar, int]):
    """The codes of the values that the model tells apart, `unseen` for any other. Raises ValueError for a value that
    it has no answer for: one of `refused`, or an unseen one where `unseen` is None."""

    def __init__(self, known: Mapping[Scalar, int], refused: Sequence[Scalar], unseen: int | None) -> None:
        super().__init__(known)
        self.refused = refused
        self.unseen = unseen

    def __missing__(self, value: Scalar) -> int:
        if self.unseen is None or value in self.refused:
            raise ValueError(f"The model has no answer for the value {value!r}.")
        return self.unseen


@dataclass(slots=True)
class Inputs:
    """Which columns go into which tensor; a column may be in both, or in `codes` more than once."""

    numbers: list[str] = field(default_factory=list)
    codes: list[tuple[str, Codes]] = field(default_factory=list)

    def number(self, column: str) -> int:
        """The row of a column among the numbers."""
        if column not in self.numbers:
            self.numbers.append(column)
        return self.numbers.index(column)

    def coded(self, column: str, codes: Codes) -> int:
        """The row of a column with these codes."""
        self.codes.append((column, codes))
        return len(self.codes) - 1

    @property
    def columns(self) -> set[str]:
        """Every column that the model looks at."""
        return {*self.numbers, *(column for column, _ in self.codes)}

    def to_json(self) -> str:
        """The inputs as a JSON text."""
        codes = [
            {"column": column, "known": list(codes.items()), "refused": codes.refused, "unseen": codes.unseen}
            for column, codes in self.codes
        ]
        return json.dumps({"numbers": self.numbers, "codes": codes})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inputs back from `to_json`."""
        data = json.loads(text)
        codes = [
            (
                entry["column"],
                Codes(dict(entry["known"]), entry["refused"], entry["unseen"]),
            )
            for entry in data["codes"]
        ]
        return cls(data["numbers"], codes)


class Feeder:
    """Turns observations into the tensors."""

    def __init__(self, inputs: Inputs) -> None:
        names = [*inputs.numbers, *(column for column, _ in inputs.codes)]
        self._values = itemgetter(*names) if len(names) > 1 else lambda row: (row[names[0]],)
        self._numbers = len(inputs.numbers)
        self._codes = [codes.__getitem__ for _, codes in inputs.codes]

    def tensors(self, rows: Sequence[Row]) -> dict[str, np.ndarray[Any, Any]]:
        """What the model is given for n observations. Raises ValueError for a value that it has no answer for."""
        columns = list(zip(*map(self._values, rows), strict=True))
        fed: dict[str, np.ndarray[Any, Any]] = {}
        if self._numbers:
            fed[NUMBERS] = np.array(columns[: self._numbers], dtype=np.float64)
        if self._codes:
            coded = zip(self._codes, columns[self._numbers :], strict=True)
            fed[CODES] = np.array([list(map(code, column)) for code, column in coded], dtype=np.int64)
        return fed


def _options() -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _ERRORS_ONLY
    return options
