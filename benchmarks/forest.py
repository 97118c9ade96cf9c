"""A slow model for the same passengers: a random forest of 200 trees."""

from pathlib import Path

from benchmarks.contenders import Model
from benchmarks.passengers import DATA, PASSENGER, TARGET
from serialize.recipes.csv import from_csv
from serialize.recipes.recipe import train


def forest(folder: Path) -> Model:
    """Trains the forest and dumps it into the folder."""
    artifact = train(from_csv(DATA, TARGET, model="forest"), folder)
    outputs = artifact.model.outputs([PASSENGER])
    return Model(folder, float(outputs[0, artifact.manifest.task.positive_index]))
