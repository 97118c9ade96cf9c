"""Takes rows of the original app's table into the log. To take a row again changes nothing, so an import that was
interrupted is continued by repeating it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from serialize.task import Label
from service.errors import Unavailable
from service.prediction.observation import canonical
from service.prediction.original_row import OriginalRow, RefusedRow
from service.prediction.scoring import Score
from service.prediction.true_label import TrueLabel
from service.storage.array_statements import array_statements
from service.storage.labels import LabelLog
from service.storage.original_log import OriginalValues
from service.storage.session import Session
from service.storage.statements import InsertValues, Statements, inserted_row, moment

IMPORTED = "imported"
LABELLED = "labelled"
ALREADY_THERE = "already there"
# Every other outcome is the reason of a reject.
TAKEN = frozenset({IMPORTED, LABELLED, ALREADY_THERE})

_ATTEMPTS = 10
_OTHER = "the log has this observation_id with another {}"


class OriginalImport:
    """Writes through its own session. `classes` are the negative and the positive class, as the log stores them. For
    one caller at a time."""

    def __init__(
        self, session: Session, classes: tuple[Label, Label], threshold: float, model_version: str | None
    ) -> None:
        self._session = session
        self._statements = Statements(session.database)
        self._arrays = array_statements(session.database)
        self._labels = LabelLog(self._statements, self._arrays, regression=False)
        self._classes = classes
        self._threshold = threshold
        self._model_version = model_version
        self._now = datetime.now(UTC)

    def take(self, page: Sequence[OriginalValues]) -> list[str]:
        """Stores the rows of a page in one transaction and returns, after its commit, the outcome of each: one of
        TAKEN, or the reason why the row is a reject. Of two rows with one id the first counts. Raises Unavailable, and
        then nothing of the page is stored."""
        parsed = [_parsed(values) for values in page]
        rows = [row for row in parsed if isinstance(row, OriginalRow)]
        outcomes = iter(self._session.run(partial(self._store, rows)) if rows else [])
        return [next(outcomes) if isinstance(row, OriginalRow) else row for row in parsed]

    def _store(self, rows: Sequence[OriginalRow]) -> list[str]:
        """Within a transaction: inserts the new rows, and compares the others with what is stored. A label that a
        stored row lacks is added to it."""
        first: dict[str, OriginalRow] = {}
        for row in rows:
            first.setdefault(row.observation.key, row)
        inserted, stored = self._insert_or_read(first)
        labels: dict[str, TrueLabel] = {}
        outcomes = [
            IMPORTED
            if row.observation.key in inserted and row is first[row.observation.key]
            else self._compare(row, stored[row.observation.key], labels)
            for row in rows
        ]
        self._labels.record([list(labels.values())] if labels else [])
        return outcomes

    def _insert_or_read(self, rows: Mapping[str, OriginalRow]) -> tuple[set[str], dict[str, dict[str, Any]]]:
        """The keys of the inserted rows, and all rows as they are stored then, by key. If a row is erased between the
        two statements, it is inserted again."""
        inserted: set[str] = set()
        stored: dict[str, dict[str, Any]] = {}
        for _ in range(_ATTEMPTS):
            missing = [key for key in rows if key not in stored]
            # In the order of the source, which the log keeps. Should the service insert some of these ids at the same
            # moment in another order, one of the two repeats its transaction.
            new = {key: id_ for id_, key in self._statements.insert([self._row(rows[key]) for key in missing])}
            self._label_new(rows, new)
            inserted |= set(new)
            stored |= {key: self._as_stored(rows[key]) for key in new}
            others = [key for key in missing if key not in new]
            stored |= {row["observation_id"]: row for row in self._statements.read(others)}
            if len(stored) == len(rows):
                return inserted, stored
        raise Unavailable("A prediction was erased while it was imported; try again.")

    def _label_new(self, rows: Mapping[str, OriginalRow], ids: Mapping[str, int]) -> None:
        """Sets the labels of inserted rows, whose row ids are given by key."""
        labels = [(id_, self._true_class(rows[key])) for key, id_ in ids.items() if rows[key].true_class is not None]
        if labels:
            self._arrays.label("true_class", labels, self._now)

    def _compare(self, row: OriginalRow, stored: dict[str, Any], labels: dict[str, TrueLabel]) -> str:
        """The outcome of a row whose id is stored. A label that is missing there is added to `labels`."""
        if not row.has_same_observation(stored["observation"]):
            return _OTHER.format("observation")
        if row.proba != stored["proba"]:
            return _OTHER.format("proba")
        label = self._label(row)
        true_class = self._true_class(row)
        if label is None or stored["true_class"] == true_class:
            return ALREADY_THERE
        if stored["true_class"] is not None:
            return _OTHER.format("true_class")
        labels[row.observation.key] = TrueLabel(row.observation.key, label)
        stored["true_class"] = true_class
        return LABELLED

    def _row(self, row: OriginalRow) -> InsertValues:
        predicted = self._classes[row.proba >= self._threshold]
        created_at = moment(row.created_at or self._now)
        score = Score(predicted, row.proba)
        return inserted_row(
            row.observation.key, row.observation.text, score, self._threshold, self._model_version, created_at
        )

    def _as_stored(self, row: OriginalRow) -> dict[str, Any]:
        return {"observation": row.observation.text, "proba": row.proba, "true_class": self._true_class(row)}

    def _true_class(self, row: OriginalRow) -> str | None:
        label = self._label(row)
        return None if label is None else canonical(label)

    def _label(self, row: OriginalRow) -> Label | None:
        return None if row.true_class is None else self._classes[row.true_class]


def _parsed(values: Mapping[str, Any]) -> OriginalRow | str:
    try:
        return OriginalRow.of(values)
    except RefusedRow as error:
        return str(error)
