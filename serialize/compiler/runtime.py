"""The compiled model at run time: ONNX Runtime on one thread, from observations to outputs.

The inputs for n observations are the numbers, of shape (columns, n) with NaN for null, the codes, of shape
(columns, n), and the sums over the words of texts, of shape (sums, n). A code is the index of a value in the table of
its column."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Self

import numpy as np

# Without it, the import writes a device id to the home folder and later sends figures to the vendor.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # noqa: TID251 - it is read in C, at the import

import onnxruntime

from serialize.compiler.columns import DistinctColumn, NumberColumn
from serialize.compiler.text_runtime import FoldedWords, Texts
from serialize.errors import ArtifactError, one_line
from serialize.frame import Columns, Row
from serialize.signature import Scalar, Signature
from serialize.task import Outputs, Task

NUMBERS, CODES, TEXTS = "numbers", "codes", "texts"
INPUTS_KEY = "inputs"

_ERRORS_ONLY = 3
_FEW_ROWS = 1000


class CompiledModel:
    """Gives the outputs of the pipeline that it was compiled from. It starts no thread, so forking is safe."""

    def __init__(self, content: bytes, task: Task, signature: Signature) -> None:
        """Raises ArtifactError if `content` is not a compiled model, or the compiled form of another pipeline."""
        try:
            self._session = onnxruntime.InferenceSession(content, _options(), providers=["CPUExecutionProvider"])
            inputs = Inputs.from_json(self._session.get_modelmeta().custom_metadata_map[INPUTS_KEY])
        except Exception as error:
            raise ArtifactError(
                f"The compiled model cannot be read ({one_line(error)}); dump the model again."
            ) from error
        output = self._session.get_outputs()[0]
        if not inputs.columns <= set(signature.names) or output.shape[1] != (len(task.classes) or 1):
            raise ArtifactError("The compiled model does not belong to this pipeline; dump the model again.")
        self._names = [output.name]
        self._texts = Texts(inputs.texts) if inputs.texts else None
        names = [
            *inputs.numbers,
            *(column for column, _ in inputs.codes),
            *(self._texts.columns if self._texts else ()),
        ]
        self._values = itemgetter(*names) if len(names) > 1 else lambda row: (row[names[0]],)
        self._numbers = len(inputs.numbers)
        self._codes = [codes.__getitem__ for _, codes in inputs.codes]

    def outputs(self, rows: Sequence[Row]) -> Outputs:
        """The outputs for n observations that fit the signature, as `Model.outputs` gives them: probabilities of shape
        (n, n_classes) in the order of `task.classes`, or predicted values of shape (n, 1). Raises ValueError for
        observations that the pipeline refuses or whose output is not finite."""
        return self._outputs(list(zip(*map(self._values, rows), strict=True)))

    def outputs_by_column(self, columns: Columns) -> Outputs:
        """The same outputs for n observations as the n values of each column of the signature."""
        return self._outputs(self._values(columns))

    def _outputs(self, columns: Sequence[Sequence[Any]]) -> Outputs:
        """The outputs for n observations, from the n values of each column in the order of the inputs."""
        outputs: Outputs = self._session.run(self._names, self._tensors(columns))[0]
        if not np.isfinite(outputs).all():
            raise ValueError("The model gives no finite output for an observation.")
        return outputs

    def _tensors(self, columns: Sequence[Sequence[Any]]) -> dict[str, np.ndarray[Any, Any]]:
        """The input tensors for n observations. Raises ValueError for a value that the model cannot score."""
        tensors: dict[str, np.ndarray[Any, Any]] = {}
        if self._numbers:
            tensors[NUMBERS] = _matrix(columns[: self._numbers], np.float64)
        texts = self._numbers + len(self._codes)
        if self._codes:
            tensors[CODES] = _matrix(list(map(_coded, self._codes, columns[self._numbers : texts])), np.int64)
        if self._texts:
            tensors[TEXTS] = self._texts.tensor(columns[texts:])
        return tensors


class Codes(dict[Scalar, int]):
    """The code of each value that the model distinguishes; any other value has the code `unseen`. Raises ValueError for
    a value in `refused`, and for an unseen value if `unseen` is None."""

    def __init__(self, known: Mapping[Scalar, int], refused: Sequence[Scalar], unseen: int | None) -> None:
        super().__init__(known)
        self.refused = refused
        self.unseen = unseen

    def __missing__(self, value: Scalar) -> int:
        if self.unseen is None or value in self.refused:
            raise ValueError(f"The model cannot score the value {value!r}.")
        return self.unseen


@dataclass(slots=True)
class Inputs:
    """The columns of each input tensor. A column may be in all, and several times in `codes` and `texts`."""

    numbers: list[str] = field(default_factory=list)
    codes: list[tuple[str, Codes]] = field(default_factory=list)
    texts: list[FoldedWords] = field(default_factory=list)

    def number(self, column: str) -> int:
        """The index of a column in the tensor of numbers."""
        if column not in self.numbers:
            self.numbers.append(column)
        return self.numbers.index(column)

    def coded(self, column: str, codes: Codes) -> int:
        """Adds a column with these codes; returns its index in the tensor of codes."""
        self.codes.append((column, codes))
        return len(self.codes) - 1

    @property
    def columns(self) -> set[str]:
        """Every column that the model uses."""
        texts = (words.analysis.column for words in self.texts)
        return {*self.numbers, *(column for column, _ in self.codes), *texts}

    def to_json(self) -> str:
        """The inputs as a JSON text."""
        codes = [
            {"column": column, "known": list(codes.items()), "refused": codes.refused, "unseen": codes.unseen}
            for column, codes in self.codes
        ]
        texts = {"texts": [words.to_json() for words in self.texts]} if self.texts else {}
        return json.dumps({"numbers": self.numbers, "codes": codes, **texts})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inputs back from `to_json`."""
        data = json.loads(text)
        codes = [(of["column"], Codes(dict(of["known"]), of["refused"], of["unseen"])) for of in data["codes"]]
        return cls(data["numbers"], codes, [FoldedWords.from_json(words) for words in data.get("texts", [])])


def _coded(code: Callable[[Scalar], int], column: Sequence[Scalar]) -> Any:
    """The codes of the n values of a column."""
    if isinstance(column, NumberColumn):
        column = column.distinct()
    if isinstance(column, DistinctColumn):
        return np.array(list(map(code, column.values)), dtype=np.int64)[column.codes]
    return list(map(code, column))


def _matrix(columns: Sequence[Any], dtype: type) -> np.ndarray[Any, Any]:
    """Columns of n values as an array of shape (columns, n). Long ones are converted one by one, because no other
    thread runs during one call of numpy."""
    if len(columns[0]) > _FEW_ROWS or isinstance(columns[0], NumberColumn | DistinctColumn):
        columns = [_array(column, dtype) for column in columns]
    return np.array(columns, dtype=dtype)


def _array(column: Any, dtype: type) -> Any:
    match column:
        case NumberColumn():
            return column.array
        case DistinctColumn():
            return np.array(column.values, dtype=dtype)[column.codes]
        case _:
            return np.array(column, dtype=dtype)


def _options() -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _ERRORS_ONLY
    return options
