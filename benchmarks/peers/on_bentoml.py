"""BentoML with adaptive batching."""

import os
from typing import Any

import bentoml
import joblib

from benchmarks.apps.row import probas_of
from benchmarks.passengers import training_rows


@bentoml.service(workers=int(os.environ["WORKERS"]), traffic={"timeout": 60})
class Titanic:
    """The pipeline behind POST /predict."""

    def __init__(self) -> None:
        self._pipeline = joblib.load(os.environ["MODEL"])
        self._rows = training_rows()

    @bentoml.api(batchable=True, max_batch_size=64)  # type: ignore[untyped-decorator]
    def predict(self, items: list[dict[str, Any]]) -> list[float]:
        """The probabilities of the items of one or several requests."""
        return probas_of(self._pipeline, self._rows, [item["observation"] for item in items])
