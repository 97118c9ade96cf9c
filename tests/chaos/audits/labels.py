"""Compares the acknowledged labels with the stored labels and their corrections."""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import psycopg

from tests.chaos.audits.rows import Audit, Row, audit, known, rows
from tests.chaos.sender import Acknowledged, Labelled

_LABELS = "SELECT observation_id, true_class, labelled_at, id FROM prediction"
_CORRECTIONS = (
    "SELECT p.observation_id, c.replaced_class, c.labelled_at, c.replaced_at FROM label_correction c "
    "JOIN prediction p ON p.id = c.prediction_id ORDER BY c.id"
)
_CHANGES = "SELECT prediction_id, count(*) FROM label_change GROUP BY prediction_id"


@dataclass(slots=True)
class History:
    """The labels of one row as JSON, oldest first, the present one last, and the times at which each began. `ends` are
    the times at which corrections replaced labels; `changes` is the number of entries in label_change."""

    labels: list[str] = field(default_factory=list)
    begins: list[Any] = field(default_factory=list)
    ends: list[Any] = field(default_factory=list)
    changes: int | None = None

    @property
    def is_continuous(self) -> bool:
        """Whether each label begins when the one before ends, in the order of time."""
        return self.begins[1:] == self.ends and all(first <= second for first, second in pairwise(self.begins))


def audit_log(
    database_url: str,
    acknowledged: Iterable[Acknowledged],
    labelled: Iterable[Labelled],
    *,
    exact: bool = False,
    expected: Callable[[Row], float | None] | None = None,
) -> Audit:
    """Compares predictions and labels with a database; `exact` and `expected` as in `audit`."""
    stored = rows(database_url)
    found = audit(acknowledged, stored, exact=exact, expected=expected)
    audit_labels(found, labelled, stored, histories(database_url))
    return found


def histories(database_url: str) -> dict[str, History]:
    """The labels of every row by its id as JSON, read without the code of the service."""
    labels, corrections, changes = _read(database_url)
    counts = dict(changes)
    found: dict[str, History] = defaultdict(History)
    for key, label, begin, end in corrections:
        found[key].labels.append(label)
        found[key].begins.append(begin)
        found[key].ends.append(end)
    for key, label, begin, id_ in labels:
        found[key].changes = counts.get(id_, 0)
        if label is not None:
            found[key].labels.append(label)
            found[key].begins.append(begin)
    return dict(found)


def audit_labels(
    found: Audit, labelled: Iterable[Labelled], stored: Iterable[Row], kept: Mapping[str, History]
) -> None:
    """Adds the faults of labels. The labels that were kept of an id must be those that were sent, in their order: all
    that were acknowledged, and perhaps those after them, whose answers were lost."""
    by_key = {row[1]: row for row in stored}
    sent: dict[str, list[Labelled]] = defaultdict(list)
    for one in labelled:
        sent[json.dumps(one.id)].append(one)
    for key, labels in sent.items():
        acknowledged = sum(one.answer is not None for one in labels)
        history = kept.get(key, History())
        found.labels += acknowledged
        _compare(found, [json.dumps(one.label) for one in labels], acknowledged, history.labels)
        if key in by_key:
            wrong = sum(one.answer is not None and not _is_row(one, by_key[key]) for one in labels)
            found.blame("an answer of /update that is not its row", wrong)
        found.blame("corrections that do not follow each other", not history.is_continuous)
    for key, history in kept.items():
        found.blame("a label that was not sent", bool(history.labels) and key not in sent)
        missing = history.changes is not None and history.changes < len(history.labels)
        found.blame("a label without its entry in label_change", missing)


def _compare(found: Audit, sent: Sequence[str], acknowledged: int, kept: Sequence[str]) -> None:
    if len(kept) < acknowledged:
        found.labels_lost += acknowledged - len(kept)
    elif len(kept) > len(sent):
        found.labels_doubled += len(kept) - len(sent)
    else:
        found.blame("labels that are not those sent", list(sent[: len(kept)]) != list(kept))


def _is_row(one: Labelled, row: Row) -> bool:
    id_, key, proba, label, text = row
    answer = dict(one.answer or {})
    observation = answer.pop("observation", {})
    expected = {
        "id": id_,
        "observation_id": json.loads(key),
        "proba": proba,
        "predicted_class": json.loads(label),
        "true_class": one.label,
    }
    return answer == expected and known(observation) == known(json.loads(text))


def _read(database_url: str) -> list[list[tuple[Any, ...]]]:
    statements = (_LABELS, _CORRECTIONS, _CHANGES)
    if database_url.startswith("sqlite:///"):
        with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"))) as connection:
            return [connection.execute(statement).fetchall() for statement in statements]
    with psycopg.connect(database_url) as postgresql:
        return [postgresql.execute(statement.encode()).fetchall() for statement in statements]
