"""Compares the columns of the observations and the outputs of the model with the reference profile of the artifact. It
detects covariate shift, not concept drift."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from serialize.manifest import Manifest
from serialize.signature import ColumnKind
from service.monitoring.comparison import Comparison, Counts, compare, compare_numbers, unrounded
from service.monitoring.intervals import Array
from service.monitoring.log_cache import LogCache
from service.monitoring.performance import FEWEST, selected
from service.monitoring.significance import holm
from service.pacing import give_way
from service.prediction.filter import DriftQuery
from service.storage.column_cache import Rows

MOST_COMPARED = 20_000

Document = tuple[str, str | None]

_TESTS_A_COLUMN = 3
_ORDER = ("ok", "watch", "drifted")
_NUMERIC = {"integer", "number"}
_NO_PROFILE = {"count": 0, "null_rate": 0.0}


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A model version, and its manifest."""

    version: str
    manifest: Manifest


class Drift:
    """Reports on a log, as the task of `model` reads it, against the profile of `reference`: by default of the same
    model."""

    def __init__(self, model: ModelVersion, log: LogCache, reference: ModelVersion | None = None) -> None:
        self._model = model
        self._reference = reference or model
        self._ledger = log.columns
        self._documents = log.documents

    def report(self, query: DriftQuery) -> dict[str, Any]:
        """The body of GET /drift, finite JSON."""
        rows = selected(self._ledger.rows(), self._ledger.model_keys, query.selection)
        return self.examined(rows, query.last)[0]

    def examined(self, rows: Rows, last: int | None) -> tuple[dict[str, Any], dict[str, Counts]]:
        """The report on the `last` rows, None for all, and the compared counts of each column that has some."""
        rows = rows if last is None else rows.take(np.arange(max(0, len(rows) - last), len(rows)))
        compared = rows.take(np.linspace(0, len(rows) - 1, min(len(rows), MOST_COMPARED)).round().astype(np.int64))
        found = dict(self._comparisons(compared))
        counts = {name: one.counts for name, one in found.items() if one.counts is not None}
        columns = self._shown(found)
        verdicts = [column["verdict"] for column in columns.values() if column["verdict"] is not None]
        body = {
            "count": len(rows),
            "compared": len(compared),
            "model_version": self._model.version,
            "reference": self._reference.version,
            "verdict": max(verdicts, key=_ORDER.index) if verdicts else None,
            "drifted": [name for name, column in columns.items() if column["verdict"] == "drifted"],
            "columns": columns,
        }
        return body, counts

    def _comparisons(self, rows: Rows) -> Iterator[tuple[str, Comparison]]:
        found = self._documents(rows.id)
        rows = rows.take(np.array([id_ in found for id_ in rows.id.tolist()], dtype=bool))
        give_way()
        documents = [found[id_] for id_ in rows.id.tolist()]
        observations = [json.loads(observation) for observation, _ in documents]
        give_way()
        outputs = list(self._outputs(rows, documents))
        columns = self._reference.manifest.profile["columns"]
        prose = sum("vocabulary" in profile for profile in columns.values())
        tests = _TESTS_A_COLUMN * (len(columns) + len(outputs)) + prose
        reference_rows = max((profile["count"] for profile in columns.values()), default=0)
        names = set()
        for name, kind, profile in self._profiles():
            values = [each.get(name) if isinstance(each, dict) else None for each in observations]
            names.add(name)
            give_way()
            yield name, compare(kind, profile, values, tests)
        for name, profile, numbers in outputs:
            compared = Comparison({})
            if len(numbers):
                compared = compare_numbers(profile, unrounded(profile, numbers), reference_rows, tests)
            statistics = {"kind": "output", "count": len(numbers), **compared.statistics}
            yield f"output {name}" if name in names else name, replace(compared, statistics=statistics)

    def _profiles(self) -> Iterator[tuple[str, ColumnKind, Mapping[str, Any]]]:
        """The name, the kind and the profile of each column. A column that only one of the two models has, or that has
        another kind in the other, is compared with nothing."""
        own = {column.name: column.kind for column in self._model.manifest.signature}
        known = {column.name: column.kind for column in self._reference.manifest.signature}
        profiles = self._reference.manifest.profile["columns"]
        for name in {**own, **known}:
            kinds = {own.get(name), known.get(name)}
            is_compared = len(kinds) == 1 or kinds <= _NUMERIC
            yield name, known.get(name) or own[name], profiles[name] if is_compared else _NO_PROFILE

    def _outputs(self, rows: Rows, documents: Sequence[Document]) -> Iterator[tuple[str, Mapping[str, Any], Array]]:
        """The outputs of the reference's version with their profiles, which do not describe other versions."""
        model_keys = self._ledger.model_keys
        places = [i for i, (version, _) in enumerate(model_keys) if version == self._reference.version]
        own = np.isin(rows.model_key, places)
        profile = self._reference.manifest.profile["outputs"]
        if self._reference.manifest.task.kind != "multiclass":
            for name, numbers in profile.items():
                yield name, numbers, rows.output[own]
            return
        probas = [json.loads(text or "{}") for (_, text), mine in zip(documents, own.tolist(), strict=True) if mine]
        for label, numbers in profile["probas"].items():
            yield f"probas/{label}", numbers, np.array([each[label] for each in probas if label in each], dtype=float)

    def _shown(self, comparisons: Mapping[str, Comparison]) -> dict[str, dict[str, Any]]:
        """The statistics with the verdicts; the p-values are corrected for the number of all tests."""
        corrected = iter(holm([change.p_value for found in comparisons.values() for change in found.changes]))
        columns: dict[str, dict[str, Any]] = {}
        for name, found in comparisons.items():
            p_values = {change.name: next(corrected) for change in found.changes}
            verdicts = {change.name: change.verdict(p_values[change.name]) for change in found.changes}
            if found.statistics["count"] < FEWEST:
                verdicts = {}
            columns[name] = {
                **found.statistics,
                "p_value": p_values.get("distribution"),
                "verdict": max(verdicts.values(), key=_ORDER.index, default=None),
                "changes": [change for change, verdict in verdicts.items() if verdict != "ok"],
            }
        return columns
