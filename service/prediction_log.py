"""The log of predictions: what is answered was committed here first, and one id has one row whoever asks."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from service.errors import Fault, ObservationConflict, ServiceError, Unavailable, UnknownObservation, pointer
from service.label import TrueLabel
from service.models import LabelCorrection
from service.observation import Observation, ObservationId, canonical
from service.record import Record
from service.scoring import Score
from service.session import Session
from service.statements import MOST_ALONE, Row, Statements, inserted_row, moment


class Scored(NamedTuple):
    """An observation with its score, not stored yet."""

    observation: Observation
    score: Score


class Entry(NamedTuple):
    """A stored record, and whether it was there before."""

    record: Record
    replayed: bool


class PredictionLog:
    """Appends predictions and records true labels through one connection, so for one caller at a time.

    A group is what one request brought; it is stored whole or not at all, whatever becomes of the others. The
    pointers in a group's errors begin with the place in the group."""

    def __init__(
        self, session: Session, model_version: str, threshold: float | None, *, regression: bool = False
    ) -> None:
        self._session = session
        self._database = session.database
        self._statements = Statements(session.database)
        self._model_version = model_version
        self._threshold = threshold
        self._true = "true_value" if regression else "true_class"

    def commit(
        self, predictions: Sequence[Sequence[Scored]], labels: Sequence[Sequence[TrueLabel]]
    ) -> tuple[list[list[Entry] | ServiceError], list[list[Record] | ServiceError]]:
        """Stores the groups in one transaction and returns after its commit: for each group its entries or records
        in order, or the error that it is refused with. Raises Unavailable where the database cannot take it now; a
        repetition with the same ids is always safe."""
        fresh = self._append_new(predictions) if not labels else {}
        rest = [group for i, group in enumerate(predictions) if i not in fresh] if fresh else predictions
        if not rest and not labels:
            return list(fresh.values()), []

        def transaction() -> tuple[list[list[Entry] | ServiceError], list[list[Record] | ServiceError]]:
            return self.append(rest), self.record_true_labels(labels)

        entries, records = self._session.run(transaction)
        others = iter(entries)
        return [fresh[i] if i in fresh else next(others) for i in range(len(predictions))], records

    def append(self, groups: Sequence[Sequence[Scored]]) -> list[list[Entry] | ServiceError]:
        """Within a transaction: inserts each group's predictions, or reads those that are there. An id that is there
        with another observation is an ObservationConflict for its group."""
        if not groups:
            return []
        now = datetime.now(UTC)
        outcomes: list[list[Entry] | ServiceError] = [[]] * len(groups)
        singles = [(i, group[0]) for i, group in enumerate(groups) if len(group) == 1]
        for i, group in enumerate(groups):
            if len(group) > 1:
                outcomes[i] = self._append_whole(group, now)
        for (i, one), entry in zip(singles, self._insert_or_read([one for _, one in singles], now), strict=True):
            outcomes[i] = [entry] if entry is not None else _conflict({0: one.observation})
        return outcomes

    def record_true_labels(self, groups: Sequence[Sequence[TrueLabel]]) -> list[list[Record] | ServiceError]:
        """Within a transaction: records each group's labels and gives the rows as they are then. A label that
        replaces another is kept as a correction. An id without a prediction is UnknownObservation for its group."""
        if not groups:
            return []
        rows = self._locked_rows({label.key for group in groups for label in group})
        now = datetime.now(UTC)
        changed: dict[int, Any] = {}
        corrections: list[dict[str, Any]] = []
        outcomes: list[list[Record] | ServiceError] = []
        for group in groups:
            unknown = {i: label for i, label in enumerate(group) if label.key not in rows}
            if unknown:
                outcomes.append(_unknown(unknown))
                continue
            for label in group:
                corrections += self._relabel(rows[label.key], label, now, changed)
            outcomes.append([_record(rows[label.key]) for label in group])
        self._write_labels(changed, now)
        for correction in corrections:
            LabelCorrection.insert(correction).execute(self._database)
        return outcomes

    def _append_new(self, groups: Sequence[Sequence[Scored]]) -> dict[int, list[Entry] | ServiceError]:
        """What most batches are, single predictions under new ids, stored by one statement: the entries of the groups
        that it stored, by their place and in order. Those that it left are to be appended as others are."""
        singles = [group[0] for group in groups if len(group) == 1]
        keys = {one.observation.key for one in singles}
        if not 0 < len(keys) == len(singles) == len(groups) <= MOST_ALONE:
            return {}
        now = datetime.now(UTC)
        # In the same order for all who insert, so that no two statements wait for each other.
        rows = [self._row(one, moment(now)) for one in sorted(singles, key=_key)]
        ids = self._session.run_alone(lambda: self._statements.insert_alone(rows))
        return {
            i: [Entry(self._fresh_record(ids[one.observation.key], one, now), False)]
            for i, one in enumerate(singles)
            if one.observation.key in ids
        }

    def _append_whole(self, group: Sequence[Scored], now: datetime) -> list[Entry] | ServiceError:
        with self._database.atomic() as savepoint:
            entries = self._insert_or_read(group, now)
            conflicts = {i: group[i].observation for i, entry in enumerate(entries) if entry is None}
            if conflicts:
                savepoint.rollback()
                return _conflict(conflicts)
        return [entry for entry in entries if entry is not None]

    def _insert_or_read(self, scored: Sequence[Scored], now: datetime) -> list[Entry | None]:
        """One statement inserts what is new, and the database arbitrates what that is; what was there is read. None
        stands for an id that belongs to another observation."""
        new = {one.observation.key: one for one in reversed(scored)}
        records = self._insert([new[key] for key in sorted(new)], now)
        fresh = set(records)
        records.update(self._read(set(new) - fresh))
        entries: list[Entry | None] = []
        for one in scored:
            observation = one.observation
            record = records[observation.key]
            if not _is_same(record.text, observation):
                entries.append(None)
                continue
            entries.append(Entry(record, observation.key not in fresh))
            fresh.discard(observation.key)
        return entries

    def _insert(self, scored: Sequence[Scored], now: datetime) -> dict[str, Record]:
        """Inserts rows of distinct ids in the order given, the same for all who insert, so that no two transactions
        wait for each other; gives the records of those that were not there."""
        rows = [self._row(one, moment(now)) for one in scored]
        by_key = {one.observation.key: one for one in scored}
        return {key: self._fresh_record(id_, by_key[key], now) for id_, key in self._statements.insert(rows)}

    def _row(self, one: Scored, created_at: Any) -> Row:
        observation = one.observation
        stamp = (self._threshold, self._model_version, created_at)
        return inserted_row(observation.key, observation.text, one.score, *stamp)

    def _fresh_record(self, id_: int, one: Scored, now: datetime) -> Record:
        observation = one.observation
        stamp = (self._threshold, self._model_version, now)
        return Record(id_, observation.observation_id, observation.text, one.score, *stamp)

    def _read(self, keys: set[str]) -> dict[str, Record]:
        records = {row["observation_id"]: _record(row) for row in self._statements.read(sorted(keys))}
        if len(records) < len(keys):
            raise Unavailable("A prediction was erased while it was asked for; try again.")
        return records

    def _locked_rows(self, keys: set[str]) -> dict[str, dict[str, Any]]:
        return {row["observation_id"]: row for row in self._statements.read(sorted(keys), lock=True)}

    def _relabel(
        self, row: dict[str, Any], label: TrueLabel, now: datetime, changed: dict[int, Any]
    ) -> list[dict[str, Any]]:
        """Sets the label in the row; gives the correction that this is, if it is one."""
        value = label.label if self._true == "true_value" else canonical(label.label)
        previous = row[self._true]
        if previous == value:
            return []
        replaced = {
            "prediction": row["id"],
            "replaced_class": row["true_class"],
            "replaced_value": row["true_value"],
            "labelled_at": row["labelled_at"],
            "replaced_at": now,
        }
        row[self._true], row["labelled_at"] = value, now
        changed[row["id"]] = value
        return [] if previous is None else [replaced]

    def _write_labels(self, changed: Mapping[int, Any], now: datetime) -> None:
        by_value: dict[Any, list[int]] = {}
        for id_, value in changed.items():
            by_value.setdefault(value, []).append(id_)
        for value, ids in by_value.items():
            self._statements.label(self._true, value, now, ids)


def _key(one: Scored) -> str:
    return one.observation.key


def _record(row: Mapping[str, Any]) -> Record:
    score = Score(
        predicted_class=_loaded(row["predicted_class"]),
        proba=row["proba"],
        probas=_loaded(row["probas"]),
        predicted_value=row["predicted_value"],
    )
    return Record(
        id=row["id"],
        observation_id=json.loads(row["observation_id"]),
        text=row["observation"],
        score=score,
        threshold=row["threshold"],
        model_version=row["model_version"],
        created_at=row["created_at"],
        true_label=row["true_value"] if score.predicted_value is not None else _loaded(row["true_class"]),
        labelled_at=row["labelled_at"],
    )


def _loaded(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _is_same(text: str, observation: Observation) -> bool:
    """Whether a stored observation is this one: to the letter, or (stored under another signature) with the same
    values in another order or form, a missing value being null."""
    if text == observation.text:
        return True
    stored = json.loads(text)
    if not isinstance(stored, dict):
        return False
    present = {name: value for name, value in stored.items() if value is not None}
    return present == {name: value for name, value in observation.values.items() if value is not None}


def _conflict(observations: Mapping[int, Observation]) -> ObservationConflict:
    """The error for observations whose ids are taken, by their place in the group."""
    faults = [
        _id_fault(place, observation.observation_id, "already exists", "an id that is not taken by another observation")
        for place, observation in observations.items()
    ]
    return ObservationConflict("; ".join(fault.detail for fault in faults), faults)


def _unknown(labels: Mapping[int, TrueLabel]) -> UnknownObservation:
    """The error for labels whose ids have no prediction, by their place in the group."""
    faults = [
        _id_fault(place, json.loads(label.key), "does not exist", "the id of a prediction")
        for place, label in labels.items()
    ]
    return UnknownObservation("; ".join(fault.detail for fault in faults), faults)


def _id_fault(place: int, observation_id: ObservationId, what: str, expected: str) -> Fault:
    return Fault(pointer(place, "id"), f"Observation ID: {observation_id} {what}", observation_id, expected)
