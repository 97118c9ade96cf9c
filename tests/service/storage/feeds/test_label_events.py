"""Every label is an event of the feed, in the order in which labels came, whichever way it is written."""

from datetime import UTC, datetime
from typing import Any

from peewee import Database
from playhouse.migrations import Runner

from service.prediction.true_label import TrueLabel
from service.storage.array_statements import array_statements
from service.storage.connection import connect
from service.storage.deletion import Erasure
from service.storage.feeds.tables import LabelEvent
from service.storage.labels import LabelLog
from service.storage.migrate import MIGRATIONS, prepare
from service.storage.reading.log_reader import log_reader
from service.storage.session import Session
from service.storage.statements import Statements
from service.storage.tables import LabelCorrection, Prediction
from tests.conftest import Client
from tests.support.logged import labelled, logged, write
from tests.support.passengers import prediction


def events(database: Database) -> list[tuple[Any, ...]]:
    """Prediction, true class and correction of each event in order."""
    query = LabelEvent.select(LabelEvent.prediction_id, LabelEvent.true_class, LabelEvent.is_correction)
    return list(query.order_by(LabelEvent.id).tuples().execute(database))


def times(*seconds: int) -> list[datetime]:
    return [datetime(2026, 3, 1, 0, 0, second, tzinfo=UTC) for second in seconds]


def test_each_acknowledged_label_is_an_event_and_a_repeated_one_is_not(client: Client, database_url: str) -> None:
    client.post("/predict", json=[prediction(i) for i in range(3)])
    client.post("/update", json={"id": 1, "true_class": 1})
    client.post("/update", json=[{"id": i, "true_class": 0} for i in range(3)])
    client.post("/update", json={"id": 2, "true_class": 0})

    with connect(database_url) as database:
        assert events(database) == [
            (2, "true", False),
            (1, "false", False),
            (2, "false", True),
            (3, "false", False),
        ]


def test_labels_of_one_prediction_in_one_transaction_are_events_in_their_order(session: Session) -> None:
    write_rows(session, logged(0), logged(1))
    log = LabelLog(Statements(session.database), array_statements(session.database), regression=False)
    groups = [[TrueLabel("0", True), TrueLabel("1", True)], [TrueLabel("0", False)], [TrueLabel("0", True)]]

    session.run(lambda: log.record(groups))

    found = events(session.database)
    assert [event[1:] for event in found if event[0] == 1] == [("true", False), ("false", True), ("true", True)]
    assert [event[1:] for event in found if event[0] == 2] == [("true", False)]
    assert LabelCorrection.select().count(session.database) == 2


def test_the_events_of_an_erased_prediction_are_erased(session: Session) -> None:
    write_rows(session, logged(0), logged(1))
    Prediction.update(true_class="true", labelled_at=datetime.now(UTC)).execute(session.database)

    Erasure(session, log_reader(session.database)).one("0")

    with session.database.connection_context():
        assert events(session.database) == [(2, "true", False)]


def test_a_change_of_no_label_is_no_event(session: Session) -> None:
    write_rows(session, labelled(0), logged(1))

    Prediction.update(threshold=0.4).execute(session.database)
    Prediction.update(true_class=None, labelled_at=None).execute(session.database)

    assert events(session.database) == []


def test_the_migration_takes_the_labels_of_before_in_the_order_of_their_times(database_url: str) -> None:
    database = connect(database_url)
    first, second, third, fourth = times(1, 2, 3, 4)
    with database.connection_context():
        Runner(database, str(MIGRATIONS)).up("0005_learning")
        write(
            database,
            labelled(0) | {"labelled_at": fourth},
            labelled(1) | {"labelled_at": second},
            logged(2),
            labelled(3) | {"labelled_at": first},  # by a clock that went back since the correction
        )
        for id_, replaced, at, until in (
            (1, '"a"', first, third),
            (1, '"b"', third, fourth),
            (4, '"c"', third, first),
        ):
            LabelCorrection.insert(prediction=id_, replaced_class=replaced, labelled_at=at, replaced_at=until).execute(
                database
            )

    assert "0006_feeds" in prepare(database)

    with database.connection_context():
        assert events(database) == [
            (1, '"a"', False),
            (2, "true", False),
            (1, '"b"', True),
            (4, '"c"', False),
            (4, "true", True),
            (1, "true", True),
        ]
        Prediction.update(true_class="false", labelled_at=first).where(Prediction.id == 3).execute(database)
        assert events(database)[-1] == (3, "false", False)


def test_a_label_of_a_model_for_values_is_an_event(session: Session) -> None:
    write_rows(session, logged(0, proba=None, predicted_class=None, predicted_value=1.5))
    Prediction.update(true_value=2.5, labelled_at=datetime.now(UTC)).execute(session.database)

    query = LabelEvent.select(LabelEvent.true_class, LabelEvent.true_value)
    assert list(query.tuples().execute(session.database)) == [(None, 2.5)]


def write_rows(session: Session, *rows: dict[str, Any]) -> None:
    session.run(lambda: write(session.database, *rows))
