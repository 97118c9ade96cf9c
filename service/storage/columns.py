"""Columns of the log as arrays, read in blocks of rows: one statement a block, whose result the database packs, so
that no Python object is made for a row and the interpreter is free meanwhile."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from peewee import Database

from serialize.task import Task
from service.prediction.observation import canonical
from service.storage.column_cache import Array, Group, Rows, Snapshot

_BLOCK = 4_000
_DOCUMENTS = 5_000


class LogColumns(ABC):
    """The rows that hold an answer of the task's kind, from a connection that is open. What differs between the
    databases is in the classes derived."""

    in_order: bool
    _same: str

    def __init__(self, database: Database, task: Task) -> None:
        self.model_keys: list[tuple[str | None, float | None]] = []
        self._database = database
        self._task = task
        self._size = len(task.classes) + 1
        self._number = task.kind == "regression"
        self._answer = "predicted_value" if self._number else "proba"

    @abstractmethod
    def snapshot(self) -> Snapshot:
        """How far the log has come."""

    @abstractmethod
    def changed(self, since: int) -> Array:
        """The ids of rows that a transaction of that number or a later one has changed or erased, once each."""

    @abstractmethod
    def _read(self, where: str) -> Rows:
        """The rows, with the model_key -1 where it is none of `model_keys`."""

    @abstractmethod
    def _probability_of_truth(self) -> str:
        """The probability, in `probas`, of a row's true class."""

    @abstractmethod
    def _groups(self, column: str, where: str) -> list[Group]: ...

    @abstractmethod
    def _literal(self, text: str) -> str:
        """A text as a literal of SQL."""

    def block_end(self, after: int) -> int | None:
        """The last id that the block of rows after an id may have; None where none follows. A block is of so many ids,
        not rows, of which few are missing: no row is read to find its end."""
        first = self._one(f"SELECT min(id) FROM prediction WHERE id > {after}")[0]
        return None if first is None else int(first) + _BLOCK - 1

    def between(self, after: int, end: int) -> Rows:
        """The rows with ids above `after` and up to `end`."""
        return self._stamped(f"id > {after} AND id <= {end}")

    def with_ids(self, ids: Array) -> Rows:
        """The rows of these ids that there are."""
        return self._stamped(among(ids))

    def groups_between(self, column: str, after: int, end: int) -> list[Group]:
        """The values of a column of the observation, each with the ids of its rows, above `after` up to `end`."""
        return self._groups(column, f"id > {after} AND id <= {end}")

    def groups_with_ids(self, column: str, ids: Array) -> list[Group]:
        """The same for the rows of these ids."""
        return self._groups(column, among(ids))

    def documents(self, ids: Array) -> dict[int, tuple[str, str | None]]:
        """The observation and the probabilities, as JSON text, by id, of the rows with these ids that there are."""
        found: dict[int, tuple[str, str | None]] = {}
        for start in range(0, len(ids), _DOCUMENTS):
            where = among(ids[start : start + _DOCUMENTS])
            for id_, *document in self._all(f"SELECT id, observation, probas FROM prediction WHERE {where}"):
                found[id_] = (document[0], document[1])
        return found

    def _stamped(self, where: str) -> Rows:
        where = f"{where} AND {self._answer} IS NOT NULL"
        rows = self._read(where)
        if len(rows) and int(rows.model_key.min()) < 0:
            self._find_model_keys(where)
            rows = self._read(where)
        return rows

    def _find_model_keys(self, where: str) -> None:
        found = self._all(f"SELECT DISTINCT model_version, threshold FROM prediction WHERE {where}")
        self.model_keys += sorted((model_key for model_key in found if model_key not in self.model_keys), key=repr)

    def _code(self) -> str:
        """Stamp, predicted and true class as one integer; `_decoded` takes it apart."""
        model_key = "".join(
            f"WHEN model_version {self._same} {self._text(version)} AND threshold {self._same} {_real(threshold)} "
            f"THEN {i} "
            for i, (version, threshold) in enumerate(self.model_keys, start=1)
        )
        model_key = f"CASE {model_key} ELSE 0 END" if model_key else "0"
        if self._number:
            predicted, truth = "1", "CASE WHEN true_value IS NULL THEN 0 ELSE 1 END"
        else:
            predicted, truth = self._place("predicted_class"), self._place("true_class")
        size = max(self._size, 2)
        return f"(({model_key}) * {size} + {predicted}) * {size} + {truth}"

    @property
    def _codes(self) -> int:
        """How many such integers there are."""
        return (len(self.model_keys) + 1) * max(self._size, 2) ** 2

    def _decoded(self, codes: Array) -> dict[str, Array]:
        size = max(self._size, 2)
        rest, truth = np.divmod(codes, size)
        model_key, predicted = np.divmod(rest, size)
        places = {"model_key": model_key, "predicted": predicted, "truth": truth}
        return {name: (place - 1).astype(np.int16) for name, place in places.items()}

    def _reals(self) -> list[str]:
        """What becomes `output` and, unless the task is binary, `target`; never null."""
        if self._number:
            return ["predicted_value", "coalesce(true_value, 0.0)"]
        return ["proba"] if self._task.kind == "binary" else ["proba", f"coalesce({self._probability_of_truth()}, 0.0)"]

    def _label_of_truth(self) -> str:
        """The key in `probas` of a row's true class."""
        return self._cases("true_class", [self._literal(str(label)) for label in self._task.classes], "NULL")

    def _place(self, column: str) -> str:
        return self._cases(column, list(map(str, range(1, self._size))), "0")

    def _cases(self, column: str, results: list[str], otherwise: str) -> str:
        labels = zip(self._task.classes, results, strict=True)
        cases = "".join(f"WHEN {self._literal(canonical(label))} THEN {result} " for label, result in labels)
        return f"CASE {column} {cases}ELSE {otherwise} END"

    def _text(self, text: str | None) -> str:
        return "NULL" if text is None else self._literal(text)

    def _one(self, statement: str, *values: float) -> tuple[Any, ...]:
        return tuple(self._database.execute_sql(statement, values).fetchone())

    def _all(self, statement: str) -> list[tuple[Any, ...]]:
        return list(self._database.execute_sql(statement).fetchall())


def among(ids: Array) -> str:
    """The condition that a row has one of these ids."""
    return f"id IN ({', '.join(map(str, ids.tolist()))})" if len(ids) else "id IS NULL"


def _real(number: float | None) -> str:
    return "NULL" if number is None else repr(number)
