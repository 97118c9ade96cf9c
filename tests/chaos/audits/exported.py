"""Reads predictions from the lines of an export, or from the answer to an erasure."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.audits.labels import History
from tests.chaos.audits.rows import Row


@dataclass(slots=True)
class Exported:
    """Rows that are no longer in the log, with their labels by the id as JSON."""

    rows: list[Row] = field(default_factory=list)
    histories: dict[str, History] = field(default_factory=dict)

    def add(self, lines: Iterable[str]) -> int:
        """Reads lines, and returns their number."""
        before = len(self.rows)
        for line in lines:
            one = json.loads(line)
            key = json.dumps(one["observation_id"])
            row = (one["id"], key, one["proba"], json.dumps(one["predicted_class"]), json.dumps(one["observation"]))
            self.rows.append(row)
            self.histories[key] = _history(one)
        return len(self.rows) - before


def _history(one: dict[str, Any]) -> History:
    history = History()
    for correction in one["corrections"]:
        history.labels.append(json.dumps(correction["replaced_class"]))
        history.begins.append(correction["labelled_at"])
        history.ends.append(correction["replaced_at"])
    if one["true_class"] is not None:
        history.labels.append(json.dumps(one["true_class"]))
        history.begins.append(one["labelled_at"])
    return history
