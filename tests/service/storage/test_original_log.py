"""The original table is read page by page, each row once, through a connection that cannot write."""

import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from peewee import OperationalError

from service.storage.original_log import OriginalTable, SourceError, open_source
from tests.support.original_table import body, good_rows, make_original


@pytest.mark.parametrize(("rows", "sizes"), [(0, []), (1, [1]), (2000, [1000, 1000]), (2001, [1000, 1000, 1])])
def test_the_pages_hold_each_row_once_in_the_order_of_the_ids(database_url: str, rows: int, sizes: list[int]) -> None:
    given = [(i - 500, *values[1:]) for i, values in enumerate(good_rows(rows))]
    random.Random(0).shuffle(given)
    make_original(database_url, given)

    with closing(open_source(database_url)) as source:
        table = OriginalTable.find(source)
        pages = list(table.pages())

        assert table.count() == rows
    assert [len(page) for page in pages] == sizes
    assert [tuple(row.values()) for page in pages for row in page] == sorted(given)


def test_a_file_is_opened_for_reading_only(tmp_path: Path) -> None:
    make_original(f"sqlite:///{tmp_path}/a b%20?.db", good_rows(1))

    with closing(open_source(f"{tmp_path}/a b%20?.db")) as source, pytest.raises(OperationalError, match="readonly"):
        source.execute_sql("DELETE FROM prediction")


def test_a_table_of_postgresql_is_read_in_transactions_that_cannot_write(postgresql_url: str) -> None:
    make_original(postgresql_url, [])
    with closing(open_source(postgresql_url)) as source:
        source.execute_sql(
            "CREATE FUNCTION written() RETURNS int LANGUAGE plpgsql AS $$ BEGIN DELETE FROM hidden; RETURN 1; END $$"
        )
        source.execute_sql("ALTER TABLE prediction RENAME TO hidden")
        source.execute_sql(
            "CREATE VIEW prediction AS SELECT written() AS id, 1 AS observation_id, '' AS observation, 0.5 AS proba, "
            "0 AS true_class"
        )
        table = OriginalTable(source, "prediction", ("id",))

        with pytest.raises(SourceError, match="read-only transaction"):
            list(table.pages())


def test_ids_that_are_not_integers_are_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "original.db")) as connection, connection:
        connection.execute(
            "CREATE TABLE prediction (id TEXT PRIMARY KEY, observation_id, observation, proba, true_class)"
        )
        connection.execute("INSERT INTO prediction VALUES ('a', 1, ?, 0.5, NULL)", (body(1),))

    with closing(open_source(f"{tmp_path}/original.db")) as source, pytest.raises(SourceError, match="not integers"):
        list(OriginalTable.find(source).pages())


def test_an_unfinished_transaction_is_named(tmp_path: Path) -> None:
    make_original(f"sqlite:///{tmp_path}/original.db", good_rows(5000))
    with closing(sqlite3.connect(tmp_path / "original.db", isolation_level=None)) as writer:
        writer.execute("PRAGMA cache_size = 1")
        writer.execute("BEGIN EXCLUSIVE")
        writer.execute("UPDATE prediction SET proba = 0.5")
        for ending in ("", "-journal"):
            shutil.copy(tmp_path / f"original.db{ending}", tmp_path / f"copy.db{ending}")

    with pytest.raises(SourceError, match="unfinished transaction"):
        open_source(f"{tmp_path}/copy.db")


def test_a_source_that_breaks_while_it_is_read_is_one_sentence(tmp_path: Path) -> None:
    make_original(f"sqlite:///{tmp_path}/original.db", good_rows(5000))
    with closing(open_source(f"{tmp_path}/original.db")) as source:
        pages = OriginalTable.find(source).pages()
        next(pages)
        content = (tmp_path / "original.db").read_bytes()
        with (tmp_path / "original.db").open("r+b") as file:
            file.seek(4096)
            file.write(bytes(len(content) - 4096))
        source.execute_sql("PRAGMA shrink_memory")

        with pytest.raises(SourceError, match="repeat the command"):
            list(pages)
