"""The table of the kinds of pipelines, and how one of them is fitted and declared."""

import warnings
from collections.abc import Sequence

from serialize.declarations import Declarations
from serialize.frame import Row, as_table, observations
from serialize.infer_signature import infer_signature
from serialize.infer_task import infer_task
from serialize.model import Model
from tests.support.kinds.libraries import BOOSTING, STEPS
from tests.support.kinds.scikit_learn import ESTIMATORS, TRANSFORMERS
from tests.support.kinds.steps import Kinds
from tests.support.kinds.texts import TEXTS

GROUPS: dict[str, Kinds] = {
    "Estimators": ESTIMATORS,
    "Boosting libraries": BOOSTING,
    "Steps": TRANSFORMERS,
    "Steps of other libraries": STEPS,
    "Texts": TEXTS,
}
KINDS: Kinds = {name: make for group in GROUPS.values() for name, make in group.items()}


def fitted(name: str) -> tuple[Model, Sequence[Row]]:
    """A kind as a fitted model that accepts unseen texts, and its training rows as observations."""
    pipeline, (X, y) = KINDS[name]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipeline.fit(X, y)
    container, table = as_table(X)
    texts = [str(name) for name in table.select_dtypes(["object", "string"])]
    signature = infer_signature(container, table, None, Declarations.of(text=texts))
    return Model(pipeline, infer_task(pipeline), signature), observations(table)
