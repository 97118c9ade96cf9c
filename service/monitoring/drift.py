"""Where the log has moved away from the training: each column of the observation and the model's own output, in a
window of the log, against the reference profile of the artifact."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from serialize.manifest import Manifest
from service.monitoring.comparison import Comparison, Counts, compare, compare_numbers, unrounded
from service.monitoring.intervals import Array
from service.monitoring.performance import FEWEST, selected
from service.monitoring.significance import holm
from service.prediction.filter import DriftQuery
from service.storage.column_cache import ColumnCache, Rows

MOST_COMPARED = 20_000

Document = tuple[str, str | None]
Documents = Callable[[Array], Mapping[int, Document]]

_TESTS_A_COLUMN = 3
_ORDER = ("ok", "watch", "drifted")


class Drift:
    """The report of a ledger against a manifest's profile. `documents` gives, for ids that there are, the observation
    and the probabilities as JSON text; `version` is the model that the profile's outputs are of."""

    def __init__(self, manifest: Manifest, version: str, ledger: ColumnCache, documents: Documents) -> None:
        self._task = manifest.task
        self._signature = manifest.signature
        self._profile = manifest.profile
        self._version = version
        self._ledger = ledger
        self._documents = documents

    def report(self, query: DriftQuery) -> dict[str, Any]:
        """The answer of GET /drift, finite JSON."""
        rows = selected(self._ledger.rows(), self._ledger.model_keys, query.selection)
        return self.examined(rows, query.last)[0]

    def examined(self, rows: Rows, last: int | None) -> tuple[dict[str, Any], dict[str, Counts]]:
        """The report on the last so many of these rows, and the counts by column as far as there are any."""
        rows = rows if last is None else rows.take(np.arange(max(0, len(rows) - last), len(rows)))
        compared = rows.take(_spread(len(rows)))
        found = dict(self._comparisons(compared))
        counts = {name: one.counts for name, one in found.items() if one.counts is not None}
        columns = self._shown(found)
        verdicts = [column["verdict"] for column in columns.values() if column["verdict"] is not None]
        body = {
            "count": len(rows),
            "compared": len(compared),
            "model_version": self._version,
            "verdict": max(verdicts, key=_ORDER.index) if verdicts else None,
            "drifted": [name for name, column in columns.items() if column["verdict"] == "drifted"],
            "columns": columns,
        }
        return body, counts

    def _comparisons(self, rows: Rows) -> Iterator[tuple[str, Comparison]]:
        found = self._documents(rows.id)
        rows = rows.take(np.array([id_ in found for id_ in rows.id.tolist()], dtype=bool))
        documents = [found[id_] for id_ in rows.id.tolist()]
        observations = [json.loads(observation) for observation, _ in documents]
        outputs = list(self._outputs(rows, documents))
        tests = _TESTS_A_COLUMN * (len(self._signature.columns) + len(outputs))
        reference_rows = 0
        for column in self._signature:
            profile = self._profile["columns"][column.name]
            values = [each.get(column.name) if isinstance(each, dict) else None for each in observations]
            reference_rows = profile["count"]
            yield column.name, compare(column.kind, profile, values, tests)
        for name, profile, numbers in outputs:
            figures = {"kind": "output", "count": len(numbers)}
            compared = Comparison({})
            if len(numbers):
                compared = compare_numbers(profile, unrounded(profile, numbers), reference_rows, tests)
            taken = name in self._signature.names
            yield (
                f"output {name}" if taken else name,
                Comparison({**figures, **compared.figures}, compared.changes, compared.counts),
            )

    def _outputs(self, rows: Rows, documents: Sequence[Document]) -> Iterator[tuple[str, Mapping[str, Any], Array]]:
        """The model's outputs with their profiles; those of other models cannot be compared."""
        model_keys = self._ledger.model_keys
        own = np.isin(rows.model_key, [i for i, (version, _) in enumerate(model_keys) if version == self._version])
        profile = self._profile["outputs"]
        if self._task.kind != "multiclass":
            ((name, numbers),) = profile.items()
            yield name, numbers, rows.output[own]
            return
        probas = [json.loads(text or "{}") for (_, text), mine in zip(documents, own.tolist(), strict=True) if mine]
        for label, numbers in profile["probas"].items():
            yield f"probas/{label}", numbers, np.array([each[label] for each in probas if label in each], dtype=float)

    def _shown(self, comparisons: Mapping[str, Comparison]) -> dict[str, dict[str, Any]]:
        """The figures with the verdicts, the p values corrected for the number of all tests."""
        changes = [(name, change) for name, found in comparisons.items() for change in found.changes]
        corrected = holm([change.p_value for _, change in changes])
        columns: dict[str, dict[str, Any]] = {}
        for name, found in comparisons.items():
            mine = [
                (change, p_value) for (owner, change), p_value in zip(changes, corrected, strict=True) if owner == name
            ]
            verdicts = {change.name: change.verdict(p_value) for change, p_value in mine}
            p_values = {change.name: p_value for change, p_value in mine}
            enough = found.figures["count"] >= FEWEST
            columns[name] = {
                **found.figures,
                "p_value": p_values.get("distribution"),
                "verdict": max(verdicts.values(), key=_ORDER.index) if enough and verdicts else None,
                "changes": [change for change, verdict in verdicts.items() if enough and verdict != "ok"],
            }
        return columns


def _spread(count: int) -> Array:
    """The places of all rows, or of so many as are compared, evenly spread."""
    if count <= MOST_COMPARED:
        return np.arange(count)
    return np.linspace(0, count - 1, MOST_COMPARED).round().astype(np.int64)
