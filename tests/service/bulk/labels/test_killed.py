"""`service label` may be killed before any of its writes: the next run goes on, no label is recorded twice, and none is
missing. An even sample of the writes is tried, on each database."""

import json
from contextlib import closing
from pathlib import Path
from shutil import copy
from typing import Any

import pytest

from service.storage.connection import connect
from service.storage.session import Session
from service.storage.tables import LabelCorrection, LabelFile, Prediction
from tests.conftest import empty_postgresql
from tests.service.registry.test_killed import Place
from tests.support.killed import KILLED, run_call
from tests.support.killed_labels import label
from tests.support.logged import logged, write
from tests.support.passengers import ARTIFACTS

ROWS = 30  # in chunks of four
MOMENTS = 10

pytestmark = pytest.mark.long


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A database with predictions, and a file of labels beside it: some ids are there three times, and some unknown."""
    folder = tmp_path / "start"
    folder.mkdir()
    if request.param == "sqlite":
        copy(request.getfixturevalue("prepared_sqlite"), folder / "log.db")
        place = Place(f"sqlite:///{folder}/log.db", folder)
    else:
        prepared = request.getfixturevalue("prepared_postgresql")
        place = Place(empty_postgresql(request.getfixturevalue("postgresql_server"), prepared), folder)
    rows = [{"id": i % 11, "true_class": i % 2 == 0 if i % 7 else "x"} for i in range(ROWS)]
    (folder / "labels.ndjson").write_text("\n".join(map(json.dumps, rows)))
    with closing(Session(connect(place.url))) as session:
        session.database.connect()
        write(session.database, *map(logged, range(9)))
    return place


def run(place: Place, die_before: int = 0) -> int:
    variables = {**place.variables, "ARTIFACTS": str(ARTIFACTS)}
    arguments = (str(place.folder / "labels.ndjson"), str(place.folder / "rejects.ndjson"))
    return run_call(label, arguments, variables, place.folder / "output.txt", die_before)


def found(place: Place) -> dict[str, Any]:
    """The labels, the replaced labels in the order of each prediction, the unfinished runs and the rejects."""
    with closing(Session(connect(place.url))) as session:
        database = session.database
        database.connect()
        history = LabelCorrection.select().order_by(LabelCorrection.prediction, LabelCorrection.id)
        classes = Prediction.select(Prediction.id, Prediction.true_class).order_by(Prediction.id)
        lines = (place.folder / "rejects.ndjson").read_text().splitlines()
        return {
            "labels": list(classes.tuples().execute(database)),
            "history": [(row.prediction_id, row.replaced_class) for row in history.execute(database)],
            "runs": LabelFile.select().count(database),
            "rejects": [(one["row_number"], one["pointer"]) for one in map(json.loads, lines)],
        }


def test_a_run_that_was_killed_goes_on(place: Place) -> None:
    whole = place.copy(0)
    assert run(whole) == 0, (whole.folder / "output.txt").read_text()
    steps = int((whole.folder / "steps").read_text())
    expected = found(whole)
    assert len(expected["history"]) > ROWS / 4
    numbers = range(steps, 0, -(steps // MOMENTS))

    for number in numbers:
        killed = place.copy(number)
        assert run(killed, die_before=number) == KILLED
        assert run(killed) == 0, (killed.folder / "output.txt").read_text()
        assert found(killed) == expected
    assert len(numbers) >= MOMENTS
