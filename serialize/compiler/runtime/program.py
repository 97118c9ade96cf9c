"""A program: what a fitted pipeline calculates, as a list of instructions over columns. It is data: JSON values and
arrays. Register i of a program with k columns holds column i of the observations for i < k, and the result of
instruction i - k otherwise; the result of the last instruction is the output."""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

_FORMAT = 1
_LARGEST = 1 << 30  # bytes of all arrays, so that a small file cannot fill the memory


@dataclass(frozen=True, slots=True)
class Instruction:
    """An operation by its name, the registers that it reads, and its parameters: JSON values, arrays and bytes."""

    operation: str
    inputs: tuple[int, ...]
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Program:
    """The names of the columns that are read, the instructions, and the number of columns of the output."""

    columns: tuple[str, ...]
    instructions: tuple[Instruction, ...]
    width: int

    @property
    def native(self) -> list[str]:
        """The steps of the pipeline that the program calls, by the names of their classes: the parameter `step` of all
        operations whose names begin with native."""
        return [str(each.parameters["step"]) for each in self.instructions if each.operation.startswith("native")]

    def to_bytes(self) -> bytes:
        """The program as the content of an .npz file: one JSON text, and the arrays that it refers to by number."""
        arrays: list[np.ndarray[Any, Any]] = []

        def kept(value: Any) -> Any:
            if isinstance(value, bytes):
                return {"bytes": kept(np.frombuffer(value, np.uint8))["array"]}
            if isinstance(value, np.ndarray):
                arrays.append(value)
                return {"array": len(arrays) - 1}
            raise TypeError(f"{value!r} cannot be kept in a program")

        steps = [[each.operation, list(each.inputs), dict(each.parameters)] for each in self.instructions]
        data = {"format": _FORMAT, "columns": list(self.columns), "width": self.width, "instructions": steps}
        text = json.dumps(data, default=kept)
        file = io.BytesIO()
        np.savez_compressed(
            file,
            program=np.frombuffer(text.encode(), np.uint8),
            **{f"array_{number}": array for number, array in enumerate(arrays)},  # type: ignore[arg-type]
        )
        return file.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """The program back from `to_bytes`. Raises ValueError, KeyError or TypeError for anything else, and for arrays
        of more than 1 GiB."""
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as file:
                size = sum(each.file_size for each in file.infolist())
            if size > _LARGEST:
                raise ValueError(f"its arrays have {size:,} bytes, and {_LARGEST:,} are the limit")
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
        except (OSError, zipfile.BadZipFile) as error:
            raise ValueError(str(error)) from error

        def restored(value: dict[str, Any]) -> Any:
            if value.keys() == {"array"}:
                return arrays[f"array_{value['array']}"]
            if value.keys() == {"bytes"}:
                return arrays[f"array_{value['bytes']}"].tobytes()
            return value

        data = json.loads(arrays["program"].tobytes(), object_hook=restored)
        if data["format"] != _FORMAT:
            raise ValueError(f"a program of format {data['format']}")
        steps: Sequence[Any] = data["instructions"]
        instructions = tuple(Instruction(name, tuple(inputs), given) for name, inputs, given in steps)
        return cls(tuple(data["columns"]), instructions, data["width"])
