"""A batch is logged before it is answered."""

import json
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from serialize import load
from serialize.files.place_error import PlaceError
from service.bulk.ids import IdChecker
from service.bulk.log.batch_log import BatchLog
from service.bulk.scoring.batch_scorer import BatchScorer
from service.bulk.scoring.layout import Layout, LayoutError
from service.bulk.scoring.object_scorer import ObjectScorer
from service.bulk.scoring.scored import ScoredBatch
from service.prediction.artifact_scorer import scorer_of
from service.storage.bulk.prediction_appender import Pace, PredictionAppender
from service.storage.session import Session
from service.storage.tables import Prediction
from tests.support.passengers import ARTIFACTS, PASSENGER, all_passengers

ARTIFACT = load(ARTIFACTS)
MANIFEST = ARTIFACT.manifest
SCORER = scorer_of(ARTIFACT, compiled=True)


def scored(rows: list[dict[str, Any]], ids: Any) -> ScoredBatch:
    batch = pa.RecordBatch.from_pylist(rows).append_column("key", pa.array(ids))
    scorer = BatchScorer(MANIFEST.signature, SCORER, Layout("key", ("key",)))
    return scorer.score(batch, IdChecker(), is_csv=False)


def log_of(session: Session, rows: int = 7) -> BatchLog:
    appender = PredictionAppender(session, ARTIFACT.version, MANIFEST.task.threshold)
    appender._pace = Pace(rows, rows)
    return BatchLog(appender, MANIFEST.task, ARTIFACT.version)


def logged(session: Session) -> list[Any]:
    return session.read(lambda: list(Prediction.select().order_by(Prediction.id).execute(session.database)))


def test_a_new_batch_is_answered_as_it_was_scored(session: Session) -> None:
    batch = scored(all_passengers()[:30], range(30))
    before = datetime.now(UTC)

    answered = log_of(session).append(batch)

    assert answered.replayed == 0
    assert answered.versions is None
    assert answered.places.tolist() == list(range(30))
    rows = logged(session)
    assert sorted(int(row.observation_id) for row in rows) == list(range(30))
    assert all(before <= row.created_at <= datetime.now(UTC) for row in rows)


def test_refused_rows_are_left_out_of_every_column(session: Session) -> None:
    log, passengers = log_of(session), all_passengers()[:30]
    log.append(scored(passengers, range(30)))
    changed = [{**row, "Age": 77.0} if i % 10 == 3 else row for i, row in enumerate(passengers)]

    answered = log.append(scored([*changed, PASSENGER], range(31)))

    left = [i for i in range(31) if i % 10 != 3]
    assert answered.places.tolist() == left
    assert answered.ids is not None
    assert answered.versions is not None
    assert answered.ids.to_pylist() == answered.kept["key"].to_pylist() == left
    assert len(answered.scores.numbers) == len(answered.versions) == len(left)
    assert {place: fault[0].kind for place, fault in answered.faults.items()} == dict.fromkeys((3, 13, 23), "conflict")
    assert answered.replayed == 27
    expected = scored([changed[i] for i in left[:-1]] + [PASSENGER], left)
    assert answered.scores.numbers.tolist() == pytest.approx(expected.scores.numbers.tolist(), abs=1e-15)


def test_ids_that_are_no_text_are_named(session: Session) -> None:
    batch = scored([PASSENGER], ["ab"])
    offsets = pa.array([0, 2], pa.int32()).buffers()[1]
    broken = pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(b"\xff\xfe")])

    with pytest.raises(PlaceError, match="UTF-8"):
        log_of(session).append(batch._replace(ids=broken))

    assert logged(session) == []


def test_a_block_without_ids_after_one_with_ids_has_faults(session: Session) -> None:
    log = log_of(session)
    scorer = ObjectScorer(MANIFEST.signature, SCORER, Layout())
    with_id = scorer.score([b'{"id": 1, "observation": %s}' % _json(PASSENGER)])
    without = scorer.score([_json(PASSENGER), b"{"])

    with pytest.raises(LayoutError, match="--log needs ids"):
        log.append(without)
    assert log.append(with_id).places.tolist() == [0]
    answered = log.append(without)

    assert answered.places.tolist() == []
    assert {place: fault[0].pointer for place, fault in answered.faults.items()} == {0: "/id", 1: ""}


def test_a_database_that_takes_no_rows_is_one_sentence(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    log = log_of(session)
    monkeypatch.setattr(session.database, "execute_sql", _fail)

    with pytest.raises(PlaceError, match=r"The log cannot be written to now \(OSError\). Start the command again"):
        log.append(scored([PASSENGER], [1]))


def _fail(*_: Any) -> None:
    raise OSError("the disk is full")


def _json(row: dict[str, Any]) -> bytes:
    return json.dumps(row).encode()
