"""The faults of rejected rows: lines of JSON, and their number by kind."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence

from service.errors import Fault, MalformedBody

# The number of faults by their kind and their pointer.
FaultCounts = Counter[tuple[str, str]]


def reject_lines(file: str, faults: Mapping[int, Sequence[Fault]]) -> bytes:
    """The faults of rows by the number of the row in its file, one line of JSON for each, in the order of the rows."""
    return b"".join(
        json.dumps({"file": file, "row_number": number, **fault.to_json()}).encode() + b"\n"
        for number in sorted(faults)
        for fault in faults[number]
    )


def fault_counts(faults: Mapping[int, Sequence[Fault]]) -> FaultCounts:
    """The number of faults by kind and pointer."""
    return Counter((fault.kind, fault.pointer) for found in faults.values() for fault in found)


def malformed_line(line: bytes, error: MalformedBody) -> Fault:
    """The fault of a line that is not JSON."""
    return Fault("", error.detail, line.decode("utf-8", "replace"), "a JSON object", "malformed")
