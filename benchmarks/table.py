"""The parts of which the tables of the documents consist."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from benchmarks.result import file_name

Result = Mapping[str, Any]


def row(*cells: str) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def where(result: Result) -> str:
    """The machine and the Python of a measurement, and the name of its result file."""
    machine, versions = result["machine"], result["versions"]["service"]
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB; Python {versions['python']}. "
        f"Result file: `benchmarks/results/{file_name(result['subject'], datetime.fromisoformat(result['date']))}`."
    )
