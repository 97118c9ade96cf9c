"""The run file of a folder of answers: what the run was started with."""

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import pyarrow as pa
from msgspec import convert

RUN_FILE = "_run.json"


@dataclass(frozen=True, slots=True)
class RunFile:
    """What a run was started with: the digest of the model, the digests of the inputs by their names in order, the
    options, and the place of the rejected rows, which may change. `schema` holds the columns of the answers as soon as
    they are known."""

    model: str
    inputs: Mapping[str, str]
    options: Mapping[str, Any]
    rejects: str | None
    schema: pa.Schema | None = None

    def to_json(self) -> bytes:
        """The content of the file."""
        schema = None if self.schema is None else base64.b64encode(self.schema.serialize()).decode()
        return json.dumps({**asdict(replace(self, schema=None)), "schema": schema}, indent=1).encode() + b"\n"

    @classmethod
    def from_json(cls, content: bytes) -> "RunFile":
        """The run of a file that `to_json` made. Raises ValueError, OSError or ArrowException for another file."""
        return convert(json.loads(content), cls, dec_hook=lambda _, encoded: _schema(encoded))

    def difference(self, earlier: "RunFile") -> str | None:
        """How this run differs from an earlier one, None if it goes on with it."""
        if self.model != earlier.model:
            return f"its model was {earlier.model[:12]}, and now it is {self.model[:12]}"
        for name in [*earlier.inputs, *self.inputs]:
            if name not in self.inputs:
                return f"its input had the file {name} too"
            if name not in earlier.inputs:
                return f"its input had no file {name}"
            if self.inputs[name] != earlier.inputs[name]:
                return f"the file {name} has changed since"
        if list(self.inputs) != list(earlier.inputs):
            return "the order of its input files was different"
        for name in sorted(self.options.keys() | earlier.options.keys()):
            if self.options.get(name) != earlier.options.get(name):
                return f"{name} was {earlier.options.get(name)}, and now it is {self.options.get(name)}"
        return None


def _schema(encoded: str) -> pa.Schema:
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(encoded)))
