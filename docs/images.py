"""Makes the charts in docs/images: `python -m docs.images`.

The log is a simulated one: the passengers of the shipped model's training data, ten years older and nine in ten
without a cabin, over three weeks. Nine in ten have a label, which came about a day later."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from serialize import load
from serialize.frame import observations
from serialize.recipes import RECIPES
from service.cli.report import make
from service.cli.shift import Shift
from service.factory import create_app
from service.prediction.filter import Selection
from service.settings import Settings
from service.storage.connection import connect
from service.storage.tables import Prediction

IMAGES = (
    "calibration-curve",
    "drift-by-column-1",
    "performance-over-time",
    "predicted-probabilities",
    "roc-and-precision-recall",
)

_PROJECT = Path(__file__).parent.parent
_START = datetime(2026, 1, 5, tzinfo=UTC)
_SPAN = timedelta(weeks=3)
_SHIFTS = ("Age=+10", "Cabin=null:0.9")


def main() -> None:
    """Writes the images over the earlier ones."""
    with TemporaryDirectory() as folder:
        settings = Settings(database_url=f"sqlite:///{folder}/log.db", artifacts=str(_PROJECT / "artifacts"))
        fill(settings)
        report, _ = make(settings, Selection())
    for chart in report.charts:
        if chart.name in IMAGES:
            (_PROJECT / "docs/images" / f"{chart.name}.png").write_bytes(chart.png)


def fill(settings: Settings) -> None:
    """Fills an empty log."""
    recipe, generator = RECIPES["titanic"](), np.random.default_rng(0)
    order = generator.permutation(len(recipe.X))
    rows, labels = observations(recipe.X.iloc[order]), recipe.y.iloc[order].tolist()
    for text in _SHIFTS:
        shift = Shift.parse(text, load(settings.artifacts).manifest.signature)
        changed = shift.change([row[shift.column] for row in rows], generator)
        rows = [{**row, shift.column: value} for row, value in zip(rows, changed, strict=True)]
    app = create_app(settings)
    labelled = [i for i in range(len(rows)) if generator.random() < 0.9]
    app.test_client().post("/predict", json=[{"id": i, "observation": row} for i, row in enumerate(rows)])
    app.test_client().post("/update", json=[{"id": i, "true_class": labels[i]} for i in labelled])
    app.extensions["session"].close()
    with connect(settings.database_url) as database, database.atomic():
        for i in range(len(rows)):
            created = _START + _SPAN * i / len(rows)
            labelled_at = created + timedelta(hours=generator.lognormal(3.0, 0.5)) if i in labelled else None
            changes = {Prediction.created_at: created, Prediction.labelled_at: labelled_at}
            Prediction.update(changes).where(Prediction.observation_id == str(i)).execute(database)


if __name__ == "__main__":
    main()
