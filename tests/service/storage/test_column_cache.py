"""The column cache equals the log, in whatever order transactions commit."""

import json
import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pytest
from peewee import Database

from serialize.task import Task
from service.storage.column_cache import ColumnCache
from service.storage.columns import LogColumns
from service.storage.connection import connect, kind
from service.storage.migrate import prepare
from service.storage.postgresql_columns import PostgresqlColumns
from service.storage.sqlite_columns import SqliteColumns
from service.storage.tables import Prediction
from tests.support.filled import fill
from tests.support.logged import START, erase, labelled, logged, relabel, write

BINARY = Task("binary", (False, True), True, 0.5)
MULTICLASS = Task("multiclass", ("a'%s\"", "b", "c"))
REGRESSION = Task("regression")

PROBABILITIES = [0.0, 1.0, 0.1 + 0.2, 1 / 3, 2**-9, 2**-9 - 2**-61, 1e-5, 1e-20, 5e-324, 0.9999999999999999]
NUMBERS = [0.0, -1.5, 1 / 3, 1e300, -1e-300, 123456789.123456789, 5e-324, 1.7976931348623157e308, 2.0**70]
SMALLEST_NORMAL = 2.2250738585072014e-308


def columns_of(database: Database, task: Task = BINARY) -> LogColumns:
    return (SqliteColumns if kind(database) == "sqlite" else PostgresqlColumns)(database, task)


@pytest.fixture
def other(database_url: str, database: Database) -> Iterator[Database]:
    """A second connection to the same database."""
    other = connect(database_url)
    other.connect()
    yield other
    other.close()


def truths(cache: ColumnCache) -> dict[int, int]:
    rows = cache.rows()
    return dict(zip(rows.id.tolist(), rows.truth.tolist(), strict=True))


def test_an_empty_log_has_no_rows(database: Database) -> None:
    cache = ColumnCache(columns_of(database))

    assert len(cache.rows()) == 0
    assert cache.grouping("Sex").values == ()


def test_rows_are_as_they_were_written(database: Database) -> None:
    write(database, labelled(1), logged(2, proba=0.75, predicted_class="true"), labelled(3, "false"))

    rows = ColumnCache(columns_of(database)).rows()

    assert rows.truth.tolist() == [1, -1, 0]
    assert rows.predicted.tolist() == [0, 1, 0]
    assert rows.is_labelled.tolist() == [True, False, True]
    assert rows.output.tolist() == [0.25, 0.75, 0.25]
    assert rows.created.tolist() == [round(START.timestamp() + i) * 1_000_000 for i in (1, 2, 3)]
    assert (rows.labelled - rows.created).tolist() == [3_600_000_000, 0, 3_600_000_000]


def test_probabilities_are_read_exactly(database: Database) -> None:
    write(database, *(logged(i, proba=proba) for i, proba in enumerate(PROBABILITIES)))

    assert ColumnCache(columns_of(database)).rows().output.tolist() == PROBABILITIES


def test_numbers_are_read_exactly(database: Database) -> None:
    rows = [logged(i, proba=None, predicted_value=number, true_value=-number) for i, number in enumerate(NUMBERS)]
    write(database, *rows, logged(99, proba=None, predicted_value=1.0))

    found = ColumnCache(columns_of(database, REGRESSION)).rows()

    assert found.target is not None
    assert found.output.tolist() == [*NUMBERS, 1.0]
    assert found.target[:-1].tolist() == [-number for number in NUMBERS]
    assert found.is_labelled.tolist() == [True] * len(NUMBERS) + [False]


def test_the_bits_of_any_number_are_kept(database: Database) -> None:
    zero = 0.0 if kind(database) == "sqlite" else -0.0  # SQLite stores whole numbers as integers
    numbers = [-0.0, SMALLEST_NORMAL, -SMALLEST_NORMAL / 3, math.nextafter(1.0, 2.0), -math.pi * 1e200, 2.0**53 + 2]
    write(database, *(logged(i, proba=None, predicted_value=number) for i, number in enumerate(numbers)))

    found = ColumnCache(columns_of(database, REGRESSION)).rows().output

    assert [number.hex() for number in found.tolist()] == [number.hex() for number in [zero, *numbers[1:]]]


def test_a_write_between_the_two_statements_of_a_block_is_not_seen(
    database: Database, other: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(database, logged(1, proba=0.25), logged(2, proba=0.5))
    columns = columns_of(database)
    columns.between(0, 10)  # finds the model version, so that the next call reads the block once
    execute: Any = database.execute_sql

    def execute_then_write(statement: str, values: Any = None) -> Any:
        found = execute(statement, values)
        if "group_concat" in statement:
            write(other, logged(3, proba=0.75))
            erase(other, 1)
        return found

    monkeypatch.setattr(database, "execute_sql", execute_then_write)
    seen = columns.between(0, 10)
    monkeypatch.undo()

    assert seen.output.tolist() == [0.25, 0.5]
    assert not database.in_transaction()
    if kind(database) == "sqlite":
        assert columns.between(0, 10).output.tolist() == [0.5, 0.75]


def test_a_log_with_one_foreign_time_zone_is_read(database: Database) -> None:
    write(database, logged(1))
    database.execute_sql("UPDATE prediction SET created_at = '2026-01-31T14:00:00.000000+02:00'")

    assert ColumnCache(columns_of(database)).rows().created.tolist() == [1_769_860_800_000_000]


def test_several_classes_have_the_probability_of_the_true_class(database: Database) -> None:
    first, second, _ = MULTICLASS.classes
    probas = json.dumps(
        {str(label): share for label, share in zip(MULTICLASS.classes, (0.5, 1 / 3, 1e-9), strict=True)}
    )
    known = {"probas": probas, "proba": 0.5, "predicted_class": json.dumps(first)}
    write(
        database,
        labelled(1, json.dumps(first), **known),
        labelled(2, json.dumps(second), **known),
        labelled(3, '"c"', **known),
        labelled(4, '"of an older model"', **known),
        logged(5, **known),
    )

    rows = ColumnCache(columns_of(database, MULTICLASS)).rows()

    assert rows.target is not None
    assert rows.target[:3].tolist() == [0.5, 1 / 3, 1e-9]
    assert rows.truth.tolist() == [0, 1, 2, -1, -1]


def test_predictions_of_another_task_are_left_out(database: Database) -> None:
    write(database, logged(1), logged(2, proba=None, predicted_class=None, predicted_value=3.5))

    assert len(ColumnCache(columns_of(database)).rows()) == 1
    assert len(ColumnCache(columns_of(database, REGRESSION)).rows()) == 1


def test_versions_and_thresholds_have_their_own_keys(database: Database) -> None:
    model_keys = [("it's 100 %", 0.5), (None, None), ("it's 100 %", 0.3), ("b", 0.5)]
    write(database, *(logged(i, model_version=model_keys[i % 4][0], threshold=model_keys[i % 4][1]) for i in range(8)))
    cache = ColumnCache(columns_of(database))

    rows = cache.rows()

    assert [cache.model_keys[place] for place in rows.model_key.tolist()] == model_keys * 2


def test_times_are_read_in_every_format_of_the_database(database: Database) -> None:
    forms = ("2026-01-31T12:00:00+00:00", "2026-01-31T12:00:00.000001+00:00", "2026-01-31T14:00:00.000000+02:00")
    for i, form in enumerate(forms):
        database.execute_sql(
            "INSERT INTO prediction (observation_id, observation, proba, predicted_class, created_at) "
            f"VALUES ('{i}', '{{}}', 0.5, 'true', '{form}')"
        )

    noon = 1_769_860_800_000_000
    assert ColumnCache(columns_of(database)).rows().created.tolist() == [noon, noon + 1, noon]


@pytest.mark.long  # ten thousand rows
def test_more_rows_than_one_block_are_read_in_order(database: Database) -> None:
    count = 45_000
    for start in range(0, count, 1000):
        write(database, *(logged(i, proba=i / count) for i in range(start, start + 1000)))
    cache = ColumnCache(columns_of(database))

    assert cache.rows().output.tolist() == [i / count for i in range(count)]
    write(database, *(logged(i, proba=0.5) for i in range(count, count + 10)))
    assert len(cache.rows()) == count + 10


def test_the_levels_are_the_distinct_outputs_after_each_change(database: Database) -> None:
    cache = ColumnCache(columns_of(database))
    written: list[float] = []
    for batch in ([], [0.5, 0.25, 0.5], [0.75, 0.1], [0.25], [0.6, 0.0, 1.0, 0.6]):
        write(database, *(logged(len(written) + i, proba=proba) for i, proba in enumerate(batch)))
        written += batch
        rows = cache.rows()
        assert rows.levels is not None
        assert rows.levels.tolist() == sorted(set(written))
        assert rows.levels[rows.level].tolist() == written

    erase(database, 1)  # its output stays a level
    relabel(database, 3, "true")
    rows = cache.rows()
    assert rows.levels is not None
    assert rows.levels[rows.level].tolist() == rows.output.tolist() == [0.5, *written[2:]]
    assert rows.take(rows.output > 0.5).levels is rows.levels


def test_an_unchanged_log_gives_the_same_object(database: Database) -> None:
    write(database, labelled(1))
    cache = ColumnCache(columns_of(database))
    cache.rows()

    assert truths(cache) == truths(cache)
    if kind(database) == "sqlite":
        assert cache.rows() is cache.rows()


def test_a_late_label_a_correction_and_an_erased_row_are_found(database: Database) -> None:
    write(database, logged(1), labelled(2), logged(3), logged(4))
    cache = ColumnCache(columns_of(database))
    first = truths(cache)
    relabel(database, 1, "true")
    relabel(database, 2, "false")
    erase(database, 3)
    erase(database, 4)

    assert list(first.values()) == [-1, 1, -1, -1]
    assert list(truths(cache).values()) == [1, 0]


def test_a_reused_id_of_an_erased_row_is_the_new_row(database: Database) -> None:
    write(database, logged(1), logged(2, observation='{"Sex":"male"}'))
    cache = ColumnCache(columns_of(database))
    last = cache.rows().id.tolist()[-1]
    cache.grouping("Sex")
    erase(database, 2)
    cache.rows()
    new = {"id": last, **labelled(3, observation='{"Sex":"female"}')}
    write(database, new)

    assert truths(cache)[last] == 1
    grouping = cache.grouping("Sex")
    assert grouping.values[grouping.codes_of(np.array([last]))[0]] == '"female"'


@pytest.mark.long
def test_a_row_that_is_committed_after_a_later_one_is_found(postgresql_url: str) -> None:
    database, other = connect(postgresql_url), connect(postgresql_url)
    prepare(database)
    database.connect()
    other.connect()
    cache = ColumnCache(columns_of(database))
    with other.atomic():
        Prediction.insert_many([logged(1)]).execute(other)
        write(database, logged(2))
        seen_before = [len(cache.rows()) for _ in range(3)]
        many = [logged(i) for i in range(3, 20_003)]
        for start in range(0, len(many), 1000):
            write(database, *many[start : start + 1000])
        cache.rows()

    assert seen_before == [1, 1, 1]
    assert len(cache.rows()) == 20_002
    other.close()
    database.close()


@pytest.mark.long
def test_a_label_that_is_committed_after_a_later_one_is_found(postgresql_url: str) -> None:
    database, other = connect(postgresql_url), connect(postgresql_url)
    prepare(database)
    database.connect()
    other.connect()
    many = [logged(i) for i in range(1, 12_001)]
    for start in range(0, len(many), 1000):
        write(database, *many[start : start + 1000])
    cache = ColumnCache(columns_of(database))
    cache.rows()
    cache.rows()
    with other.atomic():
        relabel(other, 1, "true", at=START)
        relabel(database, 2, "true")
        before = list(truths(cache).values())[:2]

    assert before == [-1, 1]
    assert list(truths(cache).values())[:2] == [1, 1]
    other.close()
    database.close()


def test_a_label_by_another_connection_is_found(database: Database, other: Database) -> None:
    write(database, logged(1))
    cache = ColumnCache(columns_of(database))
    cache.rows()
    write(other, logged(2))
    relabel(other, 1, "false")

    assert list(truths(cache).values()) == [0, -1]


def test_a_log_that_was_restored_from_a_backup_is_read_again(database: Database) -> None:
    write(database, logged(1), logged(2))
    cache = ColumnCache(columns_of(database))
    for truth in ("true", "false"):
        relabel(database, 1, truth)
        cache.rows()
    cache._since += 1_000_000  # as if the log had had more transactions
    database.execute_sql("DELETE FROM label_change")
    relabel(database, 2, "true")

    assert list(truths(cache).values()) == [0, 1]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        *(("male", '"male"'), (22.5, "22.5"), (0.1 + 0.2, "0.30000000000000004"), (3, "3")),
        *((True, "true"), (False, "false"), (None, None), ("ü'%", '"ü\'%"')),
    ],
)
def test_a_column_of_the_observation_is_read_as_json(database: Database, value: Any, shown: str | None) -> None:
    name = 'the "quoted" one\'s %'
    observation = json.dumps({"other": 1, name: value}, ensure_ascii=False)
    write(database, logged(1, observation=observation), logged(2, observation='{"other": 2}'))
    cache = ColumnCache(columns_of(database))

    rows = cache.rows()
    grouping = cache.grouping(name)

    values = [grouping.values[code] for code in grouping.codes_of(rows.id).tolist()]
    assert values == [shown, None]


def test_a_grouping_grows_with_the_rows(database: Database) -> None:
    write(database, logged(1), logged(2, observation='{"Sex":"female"}'))
    cache = ColumnCache(columns_of(database))
    cache.rows()
    cache.grouping("Sex")
    relabel(database, 1, "true")
    write(database, logged(3, observation='{"Sex":"unknown"}'))

    rows = cache.rows()
    grouping = cache.grouping("Sex")

    assert [grouping.values[code] for code in grouping.codes_of(rows.id).tolist()] == [
        '"male"',
        '"female"',
        '"unknown"',
    ]


def test_many_missing_rows_are_grouped_in_blocks(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(database_url, 50_001)
    Prediction.update(observation='{"Sex":"female"}').where(Prediction.id.bin_and(1) == 0).execute(database)
    columns = columns_of(database)
    cache = ColumnCache(columns)
    rows = cache.rows()
    monkeypatch.setattr(columns, "groups_with_ids", None)  # calling it fails

    grouping = cache.grouping("Sex")

    values = [grouping.values[code] for code in grouping.codes_of(rows.id).tolist()]
    assert values == ['"male"' if id_ % 2 else '"female"' for id_ in rows.id.tolist()]
    assert len(rows) == 50_001


def test_documents_are_returned_for_existing_rows(database: Database) -> None:
    write(database, logged(1), logged(2, probas='{"a": 1.0}'))
    ids = ColumnCache(columns_of(database)).rows().id

    found = columns_of(database).documents(np.append(ids, 99))

    assert list(found.values()) == [('{"Sex":"male"}', None), ('{"Sex":"male"}', '{"a": 1.0}')]


def test_a_new_prediction_is_not_recorded_as_a_change(database: Database) -> None:
    write(database, logged(1), logged(2))
    before = database.execute_sql("SELECT count(*) FROM label_change").fetchone()[0]
    relabel(database, 1, "true")

    assert before == 0
    assert database.execute_sql("SELECT count(*) FROM label_change").fetchone()[0] == 1


def test_an_older_log_is_migrated_with_its_rows(tmp_path: Any) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    prepare(connect(url))
    with closing(sqlite3.connect(tmp_path / "log.db")) as connection, connection:
        for trigger in ("prediction_labelled", "prediction_erased"):
            connection.execute(f"DROP TRIGGER {trigger}")
        connection.execute("DROP TABLE label_change")
        connection.execute("DELETE FROM schema_migration WHERE name = '0002_label_change'")
        connection.execute(
            "INSERT INTO prediction (observation_id, observation, proba, predicted_class, created_at) "
            "VALUES ('1', '{}', 0.5, 'true', '2026-01-01T00:00:00.000000+00:00')"
        )
    connection.close()

    database = connect(url)
    assert prepare(database) == ["0002_label_change"]
    with database.connection_context():
        assert len(ColumnCache(columns_of(database)).rows()) == 1


def test_times_of_this_service_are_read_together_with_the_rows(
    database_url: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(database_url, 50)
    columns = columns_of(database)
    asked: list[str] = []
    plain: Any = database.execute_sql

    def execute(sql: str, *more: Any) -> Any:
        asked.append(sql)
        return plain(sql, *more)

    monkeypatch.setattr(database, "execute_sql", execute)

    assert len(columns.between(0, 50).created) == 50

    assert not [sql for sql in asked if "created_at FROM prediction" in sql]
