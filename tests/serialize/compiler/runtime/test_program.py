"""A program that is damaged, or would fill the memory, is refused with one sentence."""

import io
import json
import zipfile

import numpy as np
import pytest

from serialize import ArtifactError, load
from serialize.compiler.runtime.compiled_model import CompiledModel
from tests.support.passengers import ARTIFACTS

CONTENT = (ARTIFACTS / "pipeline.npz").read_bytes()


def changed(**members: object) -> bytes:
    """The shipped program with other members."""
    with np.load(io.BytesIO(CONTENT)) as file:
        arrays = {name: file[name] for name in file.files}
    program = {**json.loads(arrays["program"].tobytes()), **members}
    arrays["program"] = np.frombuffer(json.dumps(program).encode(), np.uint8)
    written = io.BytesIO()
    np.savez(written, **arrays)
    return written.getvalue()


def with_array(array: np.ndarray) -> bytes:
    """The shipped program with one more array."""
    written = io.BytesIO(CONTENT)
    with zipfile.ZipFile(written, "a", zipfile.ZIP_DEFLATED) as file, file.open("more.npy", "w") as member:
        np.lib.format.write_array(member, array)
    return written.getvalue()


def test_the_content_is_read_back() -> None:
    model = load(ARTIFACTS).model

    assert CompiledModel(changed(), model).native == []


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"damaged", "not a zip file"),
        (CONTENT[:-500], "not a zip file"),
        (changed(format=2), "a program of format 2"),
        (changed(instructions=[["no operation", [0], {}]]), "no operation"),
        (changed(instructions=[["take", [0], {"table": {"array": 99}}]]), "array_99"),
        (with_array(np.array([{}], object)), "Object arrays cannot be loaded"),
    ],
    ids=["no zip", "half", "format", "operation", "array", "objects"],
)
def test_what_is_no_program_is_refused_with_one_sentence(content: bytes, why: str) -> None:
    model = load(ARTIFACTS).model

    with pytest.raises(
        ArtifactError, match=r"^The compiled model cannot be read \(.+\); dump the model again\.$"
    ) as raised:
        CompiledModel(content, model)

    assert why in str(raised.value)


def test_arrays_that_would_fill_the_memory_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    model, content = load(ARTIFACTS).model, with_array(np.zeros(1 << 20))
    CompiledModel(content, model)
    monkeypatch.setattr("serialize.compiler.runtime.program._LARGEST", 1 << 20)

    with pytest.raises(ArtifactError, match="bytes, and 1,048,576 are the limit"):
        CompiledModel(content, model)
