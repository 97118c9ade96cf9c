"""A program at run time, from observations to outputs."""

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from serialize.compiler.runtime.operations import operation
from serialize.compiler.runtime.program import Program
from serialize.errors import ArtifactError, one_line
from serialize.frame import Columns, Row
from serialize.model import Model
from serialize.task import Outputs

_AT_ONCE = 8192  # bounds the memory, and fits into the caches


class CompiledModel:
    """Gives the outputs of the pipeline that it was compiled from. It starts no thread, so forking is safe."""

    def __init__(self, content: bytes, model: Model) -> None:
        """Raises ArtifactError if `content` is not a program, or not one of this pipeline."""
        try:
            program = Program.from_bytes(content)
            self._steps = [
                (operation(each.operation, each.parameters, model.pipeline, model.signature), each.inputs)
                for each in program.instructions
            ]
        except Exception as error:
            raise ArtifactError(
                f"The compiled model cannot be read ({one_line(error)}); dump the model again."
            ) from error
        names = program.columns
        self._shape = (-1, len(model.task.classes) or 1)
        if not set(names) <= set(model.signature.names) or program.width != self._shape[1]:
            raise ArtifactError("The compiled model does not belong to this pipeline; dump the model again.")
        self.native = program.native
        self._values = itemgetter(*names) if len(names) > 1 else lambda row: (row[names[0]],)

    def outputs(self, rows: Sequence[Row]) -> Outputs:
        """The outputs for n observations that fit the signature, as `Model.outputs` gives them: probabilities of shape
        (n, n_classes) in the order of `task.classes`, or predicted values of shape (n, 1). Raises an exception for
        observations that the pipeline refuses or whose output is not finite."""
        return self._outputs(list(zip(*map(self._values, rows), strict=True)))

    def outputs_by_column(self, columns: Columns) -> Outputs:
        """The same outputs for n observations as the n values of each column of the signature."""
        values = self._values(columns)
        count = len(values[0])
        if count <= _AT_ONCE:
            return self._outputs(list(values))
        starts = range(0, count, _AT_ONCE)
        return np.concatenate([self._outputs([each[at : at + _AT_ONCE] for each in values]) for at in starts])

    def _outputs(self, registers: list[Any]) -> Outputs:
        with np.errstate(all="ignore"):
            for function, inputs in self._steps:
                registers.append(function(*[registers[place] for place in inputs]))
        outputs = np.asarray(registers[-1], dtype=np.float64).reshape(self._shape)
        if not np.isfinite(outputs).all():
            raise ValueError("The model gives no finite output for an observation.")
        return outputs
