"""What a run reads and how, as one digest, so that the same run can be known again. The names of files do not count."""

import hashlib
import json
import secrets
from collections.abc import Sequence
from typing import Any

from serialize.files.places import STANDARD, InputFile


def input_digest(files: Sequence[InputFile], *arguments: Any) -> str:
    """The digest of files in this order and of arguments that JSON can hold, as 64 hex digits. Each digest of standard
    input is another one, because it can be read only once. Raises PlaceError."""
    if any(file.name == STANDARD for file in files):
        return secrets.token_hex(32)
    read = [[file.format.name, file.format.is_gzip, file.digest()] for file in files]
    return hashlib.sha256(json.dumps([read, arguments]).encode()).hexdigest()
