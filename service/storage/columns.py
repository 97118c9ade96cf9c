"""Columns of the log as arrays, read in blocks. The database packs a block into few values, so that no Python object
per row is made and other threads can run."""

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
    """Reads the rows of the task's kind through an open connection. The subclasses hold what differs between the
    databases."""

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
        """The present state of the log."""

    @abstractmethod
    def changed(self, since: int) -> Array:
        """The distinct ids of rows changed or erased by transactions from this number on."""

    @abstractmethod
    def _read(self, where: str) -> Rows:
        """The rows; a `model_key` that is not in `model_keys` is -1."""

    @abstractmethod
    def _probability_of_truth(self) -> str:
        """SQL for the probability of the true class in `probas`."""

    @abstractmethod
    def _groups(self, column: str, where: str) -> list[Group]: ...

    @abstractmethod
    def _literal(self, text: str) -> str:
        """A text as an SQL literal."""

    def block_end(self, after: int) -> int | None:
        """The last id of the block after an id, or None at the end. A block is a range of ids, so that no row is read
        to find its end."""
        first = self._one(f"SELECT min(id) FROM prediction WHERE id > {after}")[0]
        return None if first is None else int(first) + _BLOCK - 1

    def between(self, after: int, end: int) -> Rows:
        """The rows with ids above `after`, up to `end`."""
        return self._with_model_keys(f"id > {after} AND id <= {end}")

    def with_ids(self, ids: Array) -> Rows:
        """The existing rows with these ids."""
        return self._with_model_keys(among(ids))

    def groups_between(self, column: str, after: int, end: int) -> list[Group]:
        """The values of a column of the observation with the ids of their rows, above `after`, up to `end`."""
        return self._groups(column, f"id > {after} AND id <= {end}")

    def groups_with_ids(self, column: str, ids: Array) -> list[Group]:
        """The same for the rows with these ids."""
        return self._groups(column, among(ids))

    def documents(self, ids: Array) -> dict[int, tuple[str, str | None]]:
        """The observation and the probabilities as JSON text, by id, of the existing rows with these ids."""
        found: dict[int, tuple[str, str | None]] = {}
        for start in range(0, len(ids), _DOCUMENTS):
            where = among(ids[start : start + _DOCUMENTS])
            for id_, *document in self._all(f"SELECT id, observation, probas FROM prediction WHERE {where}"):
                found[id_] = (document[0], document[1])
        return found

    def _with_model_keys(self, where: str) -> Rows:
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
        """SQL for model key, predicted and true class as one integer; `_decoded` splits it."""
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
        """The number of such integers."""
        return (len(self.model_keys) + 1) * max(self._size, 2) ** 2

    def _decoded(self, codes: Array) -> dict[str, Array]:
        size = max(self._size, 2)
        rest, truth = np.divmod(codes, size)
        model_key, predicted = np.divmod(rest, size)
        places = {"model_key": model_key, "predicted": predicted, "truth": truth}
        return {name: (place - 1).astype(np.int16) for name, place in places.items()}

    def _reals(self) -> list[str]:
        """SQL for `output` and, unless the task is binary, `target`; never null."""
        if self._number:
            return ["predicted_value", "coalesce(true_value, 0.0)"]
        return ["proba"] if self._task.kind == "binary" else ["proba", f"coalesce({self._probability_of_truth()}, 0.0)"]

    def _label_of_truth(self) -> str:
        """SQL for the key of the true class in `probas`."""
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
