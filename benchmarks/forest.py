"""A slow model for the same passengers: a random forest of 200 trees."""

from pathlib import Path

from benchmarks.contenders import Model
from benchmarks.passengers import DATA, PASSENGER, TARGET
from serialize.recipe import train
from serialize.train import from_csv


def forest(folder: Path) -> Model:
    """Trains the forest and dumps it into the folder."""
    artifact = train(from_csv(DATA, TARGET, model="forest"), folder)
    outputs = artifact.model.outputs([PASSENGER])
    return Model(folder, float(outputs[0, artifact.manifest.task.positive_index]))
