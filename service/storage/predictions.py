"""The log of predictions: what is answered was committed here first, and one id has one row whoever asks."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from service.errors import Fault, ObservationConflict, ServiceError, Unavailable, pointer
from service.prediction.observation import Observation
from service.prediction.record import Record, ScoredObservation, StoredPrediction
from service.prediction.true_label import TrueLabel
from service.storage.labels import LabelLog
from service.storage.session import Session
from service.storage.statements import MOST_ALONE, InsertValues, Statements, inserted_row, moment

_EXPECTED = "an id that is not taken by another observation"


class PredictionLog:
    """Appends predictions, and has true labels recorded, through one connection, so for one caller at a time.

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
        self._labels = LabelLog(self._statements, session.database, regression=regression)

    def commit(
        self, predictions: Sequence[Sequence[ScoredObservation]], labels: Sequence[Sequence[TrueLabel]]
    ) -> tuple[list[list[StoredPrediction] | ServiceError], list[list[Record] | ServiceError]]:
        """Stores the groups in one transaction and returns after its commit: for each group its entries or records
        in order, or the error that it is refused with. Raises Unavailable where the database cannot take it now; a
        repetition with the same ids is always safe."""
        fresh = self._append_new(predictions) if not labels else {}
        rest = [group for i, group in enumerate(predictions) if i not in fresh] if fresh else predictions
        if not rest and not labels:
            return list(fresh.values()), []

        def transaction() -> tuple[list[list[StoredPrediction] | ServiceError], list[list[Record] | ServiceError]]:
            return self.append(rest), self._labels.record(labels)

        entries, records = self._session.run(transaction)
        others = iter(entries)
        return [fresh[i] if i in fresh else next(others) for i in range(len(predictions))], records

    def append(self, groups: Sequence[Sequence[ScoredObservation]]) -> list[list[StoredPrediction] | ServiceError]:
        """Within a transaction: inserts each group's predictions, or reads those that are there. An id that is there
        with another observation is an ObservationConflict for its group."""
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

    def _append_new(
        self, groups: Sequence[Sequence[ScoredObservation]]
    ) -> dict[int, list[StoredPrediction] | ServiceError]:
        """What most batches are, single predictions under new ids, stored by one statement: the entries of the groups
        that it stored, by their place and in order. Those that it left are to be appended as others are."""
        singles = [group[0] for group in groups if len(group) == 1]
        keys = {one.observation.key for one in singles}
        if not 0 < len(keys) == len(singles) == len(groups) <= MOST_ALONE:
            return {}
        now = datetime.now(UTC)
        # In the same order for all who insert, so that no two statements wait for each other.
        rows = [self._row(one, moment(now)) for one in sorted(singles, key=_key)]
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
        """One statement inserts what is new, and the database arbitrates what that is; what was there is read. None
        stands for an id that belongs to another observation."""
        new = {one.observation.key: one for one in reversed(scored)}
        records = self._insert([new[key] for key in sorted(new)], now)
        fresh = set(records)
        records.update(self._read(set(new) - fresh))
        entries: list[StoredPrediction | None] = []
        for one in scored:
            observation = one.observation
            record = records[observation.key]
            if not _is_same(record.text, observation):
                entries.append(None)
                continue
            entries.append(StoredPrediction(record, observation.key not in fresh))
            fresh.discard(observation.key)
        return entries

    def _insert(self, scored: Sequence[ScoredObservation], now: datetime) -> dict[str, Record]:
        """Inserts rows of distinct ids in the order given, the same for all who insert, so that no two transactions
        wait for each other; gives the records of those that were not there."""
        rows = [self._row(one, moment(now)) for one in scored]
        by_key = {one.observation.key: one for one in scored}
        return {key: self._fresh_record(id_, by_key[key], now) for id_, key in self._statements.insert(rows)}

    def _row(self, one: ScoredObservation, created_at: Any) -> InsertValues:
        observation = one.observation
        stamp = (self._threshold, self._model_version, created_at)
        return inserted_row(observation.key, observation.text, one.score, *stamp)

    def _fresh_record(self, id_: int, one: ScoredObservation, now: datetime) -> Record:
        observation = one.observation
        stamp = (self._threshold, self._model_version, now)
        return Record(id_, observation.observation_id, observation.text, one.score, *stamp)

    def _read(self, keys: set[str]) -> dict[str, Record]:
        records = {row["observation_id"]: Record.of(row) for row in self._statements.read(sorted(keys))}
        if len(records) < len(keys):
            raise Unavailable("A prediction was erased while it was asked for; try again.")
        return records


def _key(one: ScoredObservation) -> str:
    return one.observation.key


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
        Fault.of_id(pointer(place, "id"), observation.observation_id, "already exists", _EXPECTED)
        for place, observation in observations.items()
    ]
    return ObservationConflict("; ".join(fault.detail for fault in faults), faults)
