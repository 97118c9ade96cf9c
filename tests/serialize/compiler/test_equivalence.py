"""A compiled form that differs from the pipeline for one row, or that is damaged, is found."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from serialize.compiler.compile import compile_model
from serialize.compiler.equivalence import difference
from serialize.compiler.runtime.compiled_model import CompiledModel
from serialize.compiler.runtime.program import Instruction, Program
from serialize.errors import ArtifactError
from serialize.frame import Row
from serialize.task import Outputs
from tests.serialize.compiler.support import compiled, iris, titanic


class Wrong:
    """Gives the outputs of the model, except for one row."""

    def __init__(self, model: CompiledModel, row: Row) -> None:
        self.model, self.row = model, row

    def outputs(self, rows: Sequence[Row]) -> Outputs:
        wrong = np.array([[1e-8 if row == self.row else 0.0] for row in rows])
        return np.asarray(self.model.outputs(rows) + wrong, dtype=np.float64)


def test_one_wrong_row_among_all_is_found() -> None:
    model, rows = titanic()
    fast = compiled(model, rows)
    assert difference(model, fast.outputs, rows) is None
    found = difference(model, Wrong(fast, rows[77]).outputs, rows)
    assert found is not None
    assert "differs for training row 77" in found
    assert "a difference of 1e-08" in found


def test_one_wrong_edge_row_is_found() -> None:
    model, rows = titanic()
    edge = {**rows[0], "Cabin": "never seen"}
    found = difference(model, Wrong(compiled(model, rows), edge).outputs, rows)
    assert found is not None
    assert "differs for an edge row" in found
    assert "Cabin 'never seen'" in found


def test_a_row_that_only_the_pipeline_refuses_is_found() -> None:
    model, rows = iris()
    unlimited = tuple(replace(column, largest=1e300) for column in model.signature)
    model = replace(model, signature=replace(model.signature, columns=unlimited))
    fast = compiled(model, rows)

    def always(asked: Sequence[Row]) -> Outputs:
        return fast.outputs([rows[0] for _ in asked]) if len(asked) == 1 else fast.outputs(asked)

    found = difference(model, always, rows)
    assert found is not None
    assert "only the pipeline refuses it" in found


@pytest.mark.parametrize("part", ["weights", "words"])
def test_a_damaged_model_is_found(part: str) -> None:
    model, rows = titanic()
    content = compile_model(model, rows).content
    assert content is not None
    program = Program.from_bytes(content)
    damaged = replace(program, instructions=tuple(_damaged(each, part) for each in program.instructions))
    found = difference(model, CompiledModel(damaged.to_bytes(), model).outputs, rows)
    assert found is not None
    assert "training row" in found


def _damaged(instruction: Instruction, part: str) -> Instruction:
    given = dict(instruction.parameters)
    if part == "weights" and instruction.operation == "matmul":
        return replace(instruction, parameters={"weights": given["weights"] + 1e-5})
    if part == "words" and instruction.operation == "codes":
        known = [["feminine" if value == "female" else value, code] for value, code in given["known"]]
        return replace(instruction, parameters={**given, "known": known})
    return instruction


def test_damaged_content_and_the_model_of_another_pipeline_are_refused() -> None:
    model, rows = titanic()
    content = compile_model(model, rows).content
    assert content is not None
    with pytest.raises(ArtifactError, match="cannot be read"):
        CompiledModel(content[:100], model)
    other, _ = iris()
    for task, signature in ((model.task, other.signature), (other.task, model.signature)):
        with pytest.raises(ArtifactError, match="does not belong to this pipeline"):
            CompiledModel(content, replace(model, task=task, signature=signature))
