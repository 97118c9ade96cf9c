"""The labelled rows of the log, as learning reads them."""

from datetime import timedelta

from peewee import Database

from service.storage.learning.rows import LabelledRow, LabelTimes, LearningRows, RowFilter
from service.storage.session import Session
from service.storage.tables import LabelCorrection
from tests.support.logged import START, labelled, logged, write

SECOND = timedelta(seconds=1)


def rows_of(database: Database, *, regression: bool = False) -> LearningRows:
    return LearningRows(Session(database), regression=regression)


def test_the_keys_of_labelled_rows_come_in_the_order_of_time(database: Database) -> None:
    write(database, labelled(5), logged(2), labelled(1))

    assert rows_of(database).times() == [
        LabelTimes(3, START + SECOND, START + 3601 * SECOND),
        LabelTimes(1, START + 5 * SECOND, START + 3605 * SECOND),
    ]


def test_rows_are_read_whole_in_the_given_order(database: Database) -> None:
    write(database, labelled(1), logged(2), labelled(3, "false"))

    (block,) = rows_of(database).blocks([3, 9, 2, 1])

    assert block == [
        LabelledRow(3, START + 3 * SECOND, '{"Sex":"male"}', "false"),
        LabelledRow(1, START + SECOND, '{"Sex":"male"}', "true"),
    ]


def test_labelled_values_are_those_of_a_regression(database: Database) -> None:
    value = {"proba": None, "predicted_class": None, "threshold": None, "predicted_value": 1.0, "true_value": 2.5}
    write(database, labelled(1), logged(2, **value, labelled_at=START))

    of_values = rows_of(database, regression=True)

    assert [key.id for key in of_values.times()] == [2]
    assert [row.truth for block in of_values.blocks([1, 2]) for row in block] == [2.5]
    assert [key.id for key in rows_of(database).times()] == [1]


def test_a_filter_chooses_by_time_and_by_the_beginning_of_the_id(database: Database) -> None:
    write(
        database,
        labelled(0, observation_id='"crm-%1"'),
        labelled(1, observation_id='"other"'),
        labelled(2, observation_id="17"),
        labelled(3, observation_id='"crm"'),
    )
    rows = rows_of(database)

    def chosen(**options: object) -> list[int]:
        return [key.id for key in rows.times(RowFilter(**options))]  # type: ignore[arg-type]

    assert chosen(ids="crm-") == [1]
    assert chosen(ids="crm") == [1, 4]
    assert chosen(ids="1") == [3]
    assert chosen(ids="c_m") == []
    assert chosen(since=START + SECOND, until=START + 3 * SECOND) == [2, 3]


def test_coverage_counts_the_labelled_and_all_rows_of_each_predicted_class(database: Database) -> None:
    write(database, labelled(0), logged(1), labelled(2, predicted_class="true"), logged(3))

    assert rows_of(database).coverage(RowFilter(until=START + 3 * SECOND)) == {"false": (1, 2), "true": (1, 1)}


def test_labels_are_counted_from_a_moment_on(database: Database) -> None:
    write(database, labelled(0), labelled(1), labelled(2))
    rows = rows_of(database)

    assert rows.labelled_since(START + 3600 * SECOND) == 2
    assert rows.labelled_since(START + 3600 * SECOND, RowFilter(ids="2")) == 1


def test_a_corrected_label_is_not_a_new_one(database: Database) -> None:
    write(database, labelled(0), labelled(1), labelled(2))
    for key, first in ((1, START), (2, START + 3600 * SECOND)):
        old = {"replaced_class": "false", "labelled_at": first, "replaced_at": START + 3600 * SECOND}
        LabelCorrection.insert(prediction=key, **old).execute(database)

    assert rows_of(database).labelled_since(START + 3599 * SECOND) == 2


def test_the_time_of_a_label_is_that_of_the_first_one(database: Database) -> None:
    write(database, labelled(0), labelled(1))
    for first in (START + 9 * SECOND, START + 5 * SECOND):
        old = {"replaced_class": "false", "labelled_at": first, "replaced_at": START + 3600 * SECOND}
        LabelCorrection.insert(prediction=1, **old).execute(database)

    assert [key.labelled_at for key in rows_of(database).times()] == [START + 5 * SECOND, START + 3601 * SECOND]
