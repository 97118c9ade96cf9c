"""The log of predictions. A prediction is committed here before it is answered, and one id has one row."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from peewee import DataError, IntegrityError

from service.errors import Fault, ObservationConflict, ServiceError, Unavailable, pointer
from service.prediction.columns import RowColumns
from service.prediction.observation import Observation
from service.prediction.record import Record, ScoredObservation, Stored, StoredPrediction
from service.prediction.true_label import TrueLabel
from service.storage.array_statements import array_statements
from service.storage.labels import LabelLog
from service.storage.session import Session
from service.storage.statements import MOST_ALONE, InsertValues, Statements, inserted_row, moment

_EXPECTED = "an id that is not taken by another observation"
_ATTEMPTS = 10


class PredictionLog:
    """Stores predictions and true labels through one connection. For one caller at a time.

    A group holds the items of one request. It is stored completely or not at all, independent of other groups. The
    pointers in its errors begin with the index of the item."""

    def __init__(
        self, session: Session, model_version: str, threshold: float | None, *, regression: bool = False
    ) -> None:
        self._session = session
        self._database = session.database
        self._statements = Statements(session.database)
        self._arrays = array_statements(session.database)
        self._model_version = model_version
        self._threshold = threshold
        self._labels = LabelLog(self._statements, self._arrays, regression=regression)

    def commit(
        self,
        predictions: Sequence[Sequence[ScoredObservation]],
        arrays: Sequence[RowColumns],
        labels: Sequence[Sequence[TrueLabel]],
    ) -> Stored:
        """Stores the groups in one transaction and returns after its commit: the predictions or records of each group
        in order, or its error, and for each array what `append_columns` returns. Raises Unavailable if the database
        cannot store them now; repeating is always safe."""
        fresh = self._append_new(predictions) if not labels and not arrays else {}
        rest = [group for i, group in enumerate(predictions) if i not in fresh] if fresh else predictions
        if not rest and not labels and not arrays:
            return Stored(list(fresh.values()), [], [])

        stored = self._session.run(lambda: self.store(rest, arrays, labels))
        others = iter(stored.predictions)
        entries = [fresh[i] if i in fresh else next(others) for i in range(len(predictions))]
        return stored._replace(predictions=entries)

    def store(
        self,
        predictions: Sequence[Sequence[ScoredObservation]],
        arrays: Sequence[RowColumns],
        labels: Sequence[Sequence[TrueLabel]],
    ) -> Stored:
        """The same within a transaction of the session."""
        entries = self.append(predictions)
        return Stored(entries, list(map(self.append_columns, arrays)), self._labels.record(labels))

    def append(self, groups: Sequence[Sequence[ScoredObservation]]) -> list[list[StoredPrediction] | ServiceError]:
        """Within a transaction: inserts the predictions of each group, or reads existing ones. A known id with another
        observation is an ObservationConflict for its group."""
        if not groups:
            return []
        now = datetime.now(UTC)
        outcomes: list[list[StoredPrediction] | ServiceError] = [[]] * len(groups)
        singles = [(i, group[0]) for i, group in enumerate(groups) if len(group) == 1]
        for i, group in enumerate(groups):
            if len(group) > 1:
                outcomes[i] = self._append_whole(group, now)
        for (i, one), entry in zip(singles, self._insert_or_read([one for _, one in singles], now), strict=True):
            outcomes[i] = [entry] if entry is not None else _conflict({0: one.observation})
        return outcomes

    def append_columns(self, rows: RowColumns) -> Sequence[int] | None:
        """Within a transaction: inserts new predictions by column and returns their row ids in the order of the items.
        If the log has one of their ids already, or the database refuses a value, it inserts none and returns None."""
        keys = rows.observation_id
        # All writers insert in the same order, so that two arrays do not deadlock. Two batches of several arrays can;
        # then the session repeats one.
        order = sorted(range(len(keys)), key=keys.__getitem__)
        columns = {
            name: [column[i] for i in order]
            for name, column in zip(rows._fields, rows, strict=True)
            if column is not None
        }
        try:
            with self._database.atomic():
                inserted = self._arrays.insert(columns, self._threshold, self._model_version, datetime.now(UTC))
        except (DataError, IntegrityError):
            return None
        ids = [0] * len(order)
        for i, id_ in zip(order, inserted, strict=True):
            ids[i] = id_
        return ids

    def _append_new(
        self, groups: Sequence[Sequence[ScoredObservation]]
    ) -> dict[int, list[StoredPrediction] | ServiceError]:
        """Stores the most frequent kind of batch, single predictions with new ids, in one statement. Returns the stored
        groups by index; `append` handles the others."""
        singles = [group[0] for group in groups if len(group) == 1]
        keys = {one.observation.key for one in singles}
        if not 0 < len(keys) == len(singles) == len(groups) <= MOST_ALONE:
            return {}
        now = datetime.now(UTC)
        # All writers insert in the same order, so that no two statements deadlock.
        rows = [self._row(one, moment(now)) for one in sorted(singles, key=lambda one: one.observation.key)]
        ids = self._session.run_autocommit(lambda: self._statements.insert_alone(rows))
        return {
            i: [StoredPrediction(self._fresh_record(ids[one.observation.key], one, now), False)]
            for i, one in enumerate(singles)
            if one.observation.key in ids
        }

    def _append_whole(self, group: Sequence[ScoredObservation], now: datetime) -> list[StoredPrediction] | ServiceError:
        with self._database.atomic() as savepoint:
            entries = self._insert_or_read(group, now)
            conflicts = {i: group[i].observation for i, entry in enumerate(entries) if entry is None}
            if conflicts:
                savepoint.rollback()
                return _conflict(conflicts)
        return [entry for entry in entries if entry is not None]

    def _insert_or_read(self, scored: Sequence[ScoredObservation], now: datetime) -> list[StoredPrediction | None]:
        """Inserts what the database finds to be new, and reads the rest; if a row is erased in between, once more. None
        marks an id with another observation."""
        new = {one.observation.key: one for one in reversed(scored)}
        records: dict[str, Record] = {}
        fresh: set[str] = set()
        for _ in range(_ATTEMPTS):
            inserted = self._insert([new[key] for key in sorted(set(new) - set(records))], now)
            fresh |= set(inserted)
            records |= inserted
            records |= self._read(set(new) - set(records))
            if len(records) == len(new):
                break
        else:
            raise Unavailable("A prediction was erased while it was asked for; try again.")
        entries: list[StoredPrediction | None] = []
        for one in scored:
            observation = one.observation
            record = records[observation.key]
            if not is_same(record.text, observation.text):
                entries.append(None)
                continue
            entries.append(StoredPrediction(record, observation.key not in fresh))
            fresh.discard(observation.key)
        return entries

    def _insert(self, scored: Sequence[ScoredObservation], now: datetime) -> dict[str, Record]:
        """Inserts rows with distinct ids in the given order and returns the records of the new ones. All writers use
        the same order, so that no two transactions deadlock."""
        rows = [self._row(one, moment(now)) for one in scored]
        by_key = {one.observation.key: one for one in scored}
        return {key: self._fresh_record(id_, by_key[key], now) for id_, key in self._statements.insert(rows)}

    def _row(self, one: ScoredObservation, created_at: Any) -> InsertValues:
        observation = one.observation
        return inserted_row(
            observation.key, observation.text, one.score, self._threshold, self._model_version, created_at
        )

    def _fresh_record(self, id_: int, one: ScoredObservation, now: datetime) -> Record:
        id_of_caller, text = one.observation.observation_id, one.observation.text
        return Record(id_, id_of_caller, text, one.score, self._threshold, self._model_version, now)

    def _read(self, keys: set[str]) -> dict[str, Record]:
        return {row["observation_id"]: Record.of(row) for row in self._statements.read(sorted(keys))}


def is_same(stored: str, text: str) -> bool:
    """Whether a stored text is the observation of another text, which is canonical JSON: the same text, or (stored
    under another signature) the same values in another order or form; a missing value counts as null."""
    return stored == text or _present(json.loads(stored)) == _present(json.loads(text))


def conflict_fault(where: str, observation_id: int | str) -> Fault:
    """The fault of an observation whose id is known with another one; `where` is the place of the id."""
    return Fault.of_id(where, observation_id, "already exists", _EXPECTED, "conflict")


def _present(observation: Any) -> Any:
    if not isinstance(observation, dict):
        return None
    return {name: value for name, value in observation.items() if value is not None}


def _conflict(observations: Mapping[int, Observation]) -> ObservationConflict:
    """The error for observations with known ids, by their index in the group."""
    faults = [conflict_fault(pointer(place, "id"), one.observation_id) for place, one in observations.items()]
    return ObservationConflict("; ".join(fault.detail for fault in faults), faults)
