"""Compares the acknowledged predictions with the rows in the database."""

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import psycopg

from serialize import load
from tests.chaos.sender import PASSENGERS, Acknowledged
from tests.support.passengers import ARTIFACTS

_ROWS = "SELECT id, observation_id, proba, predicted_class, observation FROM prediction WHERE observation_id LIKE '{}'"
_TOLERANCE = 1e-9

Row = tuple[int, str, float, str, str]


@dataclass(slots=True)
class Audit:
    """The numbers of acknowledged ids without a row, of ids with several rows, of acknowledged labels that are not
    stored, of labels stored twice, and of wrong answers or rows, with the reasons."""

    acknowledged: int = 0
    lost: int = 0
    duplicated: int = 0
    labels: int = 0
    labels_lost: int = 0
    labels_doubled: int = 0
    wrong: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def blame(self, reason: str, count: int = 1) -> None:
        """Counts wrong answers or rows."""
        if count:
            self.wrong += count
            self.reasons[reason] += count


def rows(database_url: str, ids: str = "%") -> list[Row]:
    """The stored predictions whose ids are LIKE `ids`, read without the code of the service."""
    statement = _ROWS.format(ids)
    if database_url.startswith("sqlite:///"):
        with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"))) as connection:
            return connection.execute(statement).fetchall()
    with psycopg.connect(database_url) as postgresql:
        return postgresql.execute(statement.replace("observation FROM", "observation::text FROM").encode()).fetchall()


def audit(
    acknowledged: Iterable[Acknowledged],
    stored: Iterable[Row],
    *,
    exact: bool = False,
    expected: Callable[[Row], float | None] | None = None,
) -> Audit:
    """Compares the two. At most one answer per id may be a first answer, the others must be replays. With `exact` there
    must be one first answer; otherwise it may have been lost on its way. `expected` gives the probability of a row, by
    default that of the shipped model."""
    found = Audit()
    by_key: dict[str, list[Row]] = defaultdict(list)
    for row in stored:
        by_key[row[1]].append(row)
    answers: dict[str, list[Acknowledged]] = defaultdict(list)
    for one in acknowledged:
        answers[json.dumps(one.id)].append(one)
    found.acknowledged = len(answers)
    found.duplicated = sum(len(same) > 1 for same in by_key.values())
    for key, given in answers.items():
        if key not in by_key:
            found.lost += 1
            continue
        found.blame("an answer that is not its row", sum(not _is_row(one, by_key[key]) for one in given))
        if exact:
            found.blame("not one first answer", sum(not one.replayed for one in given) != 1)
        else:
            found.blame("two first answers", sum(not one.replayed for one in given) > 1)
    right = expected or _of_shipped_model
    for same in by_key.values():
        found.blame("a row with another probability", sum(not _is_close(right(row), row[2]) for row in same))
    return found


def _is_row(one: Acknowledged, stored: Iterable[Row]) -> bool:
    answer = one.answer
    given = (answer["id"], answer["observation_id"], answer["proba"], answer["predicted_class"])
    values = PASSENGERS[one.passenger]
    return given[1] == one.id and any(
        given == (id_, json.loads(key), proba, json.loads(label)) and known(json.loads(text)) == known(values)
        for id_, key, proba, label, text in stored
    )


def _of_shipped_model(row: Row) -> float | None:
    return probabilities(ARTIFACTS).get(key_of(json.loads(row[4])))


def _is_close(expected: float | None, found: float) -> bool:
    return expected is not None and abs(expected - found) <= _TOLERANCE


def known(values: dict[str, object]) -> dict[str, object]:
    """The values that are not null, with every number as a float, because 22 and 22.0 are equal."""
    return {
        name: float(value) if isinstance(value, int | float) else value
        for name, value in values.items()
        if value is not None
    }


def key_of(values: dict[str, object]) -> str:
    """The same text for the same observation."""
    return json.dumps(sorted(known(values).items()))


@cache
def probabilities(folder: Path) -> dict[str, float]:
    """The probability of each passenger from the pipeline of an artifact, by `key_of` the observation."""
    probas = load(folder).model.outputs(PASSENGERS)[:, 1]
    return dict(zip(map(key_of, PASSENGERS), map(float, probas), strict=True))
