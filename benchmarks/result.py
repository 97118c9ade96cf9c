"""Result files: one a run, as JSON below benchmarks/results, named by its moment and its subject."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def write(subject: str, content: dict[str, Any], folder: Path = RESULTS) -> Path:
    """Writes the result of a run under its subject, with the date."""
    now = datetime.now(UTC).replace(microsecond=0)
    folder.mkdir(exist_ok=True)
    path = folder / file_name(subject, now)
    path.write_text(json.dumps({"subject": subject, "date": now.isoformat(), **content}, indent=1) + "\n")
    return path


def file_name(subject: str, moment: datetime) -> str:
    """The name of the result file of a subject that was measured at a moment in UTC."""
    return f"{moment:%Y-%m-%dT%H%M%SZ}.{subject}.json"


def newest(subject: str, folder: Path = RESULTS) -> dict[str, Any] | None:
    """The newest result on a subject, or None."""
    paths = sorted(folder.glob(f"*Z.{subject}.json"))
    content: dict[str, Any] | None = json.loads(paths[-1].read_text()) if paths else None
    return content
