"""Fits the champion's pipeline again by a recipe: on rows of the log, with or without those from outside of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from serialize.artifact import Artifact
from serialize.frame import Row
from serialize.task import Label
from serialize.training.data import TrainingData
from serialize.training.refit import join, only, refit, takes_weights
from service.learning.retraining.candidates import Fitted, Recipe, Skipped, recency_weights
from service.learning.retraining.examples import Examples


@dataclass(frozen=True, slots=True)
class Fitter:
    """`base` are the rows from outside of the log: the training data of the artifact and the user's own."""

    artifact: Artifact
    base: TrainingData

    def fit(self, recipe: Recipe, examples: Examples) -> Fitted:
        """Raises Skipped for a recipe that this pipeline cannot use, and DumpError for a fit that fails."""
        chosen = recipe.chosen(examples)
        data = self.data(recipe, chosen)
        weights = None
        if recipe.is_weighted:
            if not takes_weights(self.artifact.pipeline):
                raise Skipped("the pipeline takes no weights of rows")
            weights = recency_weights(len(data.y) - len(chosen), len(chosen))
        return Fitted(refit(self.artifact, data.X, data.y, weights), chosen, len(data.y))

    def data(self, recipe: Recipe, chosen: Examples) -> TrainingData:
        """The rows and targets of a fit on the chosen examples. A window in which a class is missing gets the base
        rows too."""
        classes = set(self.artifact.manifest.task.classes)
        has_all = classes <= set(chosen.truths)
        if recipe.has_base or not has_all:
            return join(self.base, chosen.rows, chosen.truths, self.artifact)
        return only(chosen.rows, chosen.truths, self.artifact, self.base)


def with_own(artifact: Artifact, base: TrainingData, rows: Sequence[Row], truths: Sequence[Label]) -> TrainingData:
    """The base rows, followed by the user's own."""
    return join(base, rows, truths, artifact) if rows else base
