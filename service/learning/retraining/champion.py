"""The champion as a retraining needs it: the model, the rows that it was fitted on, and the log rows that it knows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from serialize.artifact import Artifact, load_content
from serialize.errors import ArtifactError
from serialize.frame import as_table, observations
from serialize.training.data import TrainingData
from service.errors import CannotLearn
from service.learning.retraining.examples import ExampleReader
from service.learning.retraining.fitting import with_own
from service.learning.retraining.holdout import TrainedOn, trained_on
from service.learning.retraining.options import OwnRowsOf
from service.learning.retraining.requirements import require_columns, require_training_data
from service.learning.retraining.row_keys import RowKey, row_key_of
from service.registry.registry import Registry


@dataclass(frozen=True, slots=True)
class ChampionModel:
    """The artifact of the champion, which log rows it was trained on, and the rows from outside of the log: those that
    it keeps, and those with the user's own. `own_left_out` counts the user's rows that do not fit, by reason."""

    artifact: Artifact
    trained: TrainedOn
    base: TrainingData
    own_rows: int
    own_left_out: Mapping[str, int]

    def base_keys(self) -> set[RowKey]:
        """The keys of all rows from outside of the log."""
        signature = self.artifact.manifest.signature
        table = as_table(self.base.X)[1].set_axis(list(signature.names), axis=1)
        return set(map(row_key_of(signature), observations(table)))


def load_champion(registry: Registry, version: str, columns: Sequence[str], own: OwnRowsOf | None) -> ChampionModel:
    """The champion, with the user's own rows if there are any. Raises CannotLearn if it cannot be fitted again, does
    not keep its training data or lacks one of these columns."""
    stored = registry.model(version)
    try:
        artifact = load_content(registry.content(version))
    except ArtifactError as error:
        raise CannotLearn(str(error)) from error
    require_columns(artifact.manifest.signature, columns)
    base = require_training_data(artifact)
    reader = ExampleReader(artifact.manifest.task, artifact.manifest.signature)
    rows, truths = ([], []) if own is None else reader.read_own(*own(artifact.manifest.task, reader.signature))
    return ChampionModel(
        artifact=artifact,
        trained=trained_on(stored, artifact.manifest.training),
        base=with_own(artifact, base, rows, truths),
        own_rows=len(rows),
        own_left_out=dict(reader.left_out),
    )
