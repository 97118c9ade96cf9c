"""What a case lacks for a decision."""

import numpy as np

from service.learning.gate.bootstrap import cluster_count
from service.learning.gate.case import Case

ENOUGH_ROWS = 200
ENOUGH_OTHERS = 20
ENOUGH_NEW_LABELS = 200
# With fewer groups no bootstrap of groups keeps its level (Cameron, Gelbach and Miller 2008).
ENOUGH_CLUSTERS = 20


def missing(case: Case) -> list[str]:
    """One phrase for each thing of which there is not enough, with both figures."""
    found = [("labelled rows to compare on", len(case.truth), ENOUGH_ROWS)]
    if case.kind != "regression":
        found.append(("rows outside the largest class", _outside_largest(case), ENOUGH_OTHERS))
    if case.new_labels is not None:
        found.append(("rows labelled since the last attempt", case.new_labels, ENOUGH_NEW_LABELS))
    if case.clusters is not None:
        found.append(("groups of the cluster column", cluster_count(case.clusters), ENOUGH_CLUSTERS))
    return [f"{count} of at least {least} {what}" for what, count, least in found if count < least]


def _outside_largest(case: Case) -> int:
    counts = np.unique(case.truth, return_counts=True)[1]
    return int(counts.sum() - counts.max()) if len(counts) else 0
