"""The service without promise 1 for labels, as a control: it answers a label, and commits it with the next batch."""

from collections.abc import Sequence

from service.errors import ServiceError
from service.factory import create_app
from service.prediction.columns import RowColumns
from service.prediction.record import Record, ScoredObservation, Stored
from service.prediction.true_label import TrueLabel
from service.settings import Settings
from service.storage.predictions import PredictionLog

Recorded = list[list[Record] | ServiceError]

_commit = PredictionLog.commit
_late: list[Sequence[TrueLabel]] = []


def _commit_late(
    self: PredictionLog,
    predictions: Sequence[Sequence[ScoredObservation]],
    arrays: Sequence[RowColumns],
    labels: Sequence[Sequence[TrueLabel]],
) -> Stored:
    stored = _commit(self, predictions, arrays, tuple(_late))
    _late[:] = labels
    return stored._replace(records=self._session.run(lambda: _answers(self, labels)))


def _answers(log: PredictionLog, labels: Sequence[Sequence[TrueLabel]]) -> Recorded:
    """What the labels would change, which is rolled back."""
    with log._database.atomic() as savepoint:
        answers = log._labels.record(labels)
        savepoint.rollback()
    return answers


PredictionLog.commit = _commit_late  # type: ignore[method-assign]
app = create_app(Settings.from_env())
