"""The reports on the service's own log. They run one at a time, on their own database connection, and do not delay
predictions."""

from collections.abc import Callable
from functools import partial
from typing import Any

from serialize.manifest import Manifest
from serialize.task import Task
from service.batching import Batcher, Process
from service.errors import ServiceError, UnknownModel, shown
from service.monitoring.drift import Drift, ModelVersion
from service.monitoring.log_cache import LogCache, LogCaches
from service.monitoring.performance import Performance
from service.prediction.filter import DriftQuery, PerformanceQuery, Selection

ManifestOf = Callable[[str], Manifest | None]
Query = PerformanceQuery | DriftQuery
Report = Callable[[], dict[str, Any]]
# Compares two models on the labelled rows of a selection, with the connection open.
Compare = Callable[[ModelVersion, ModelVersion, Selection], dict[str, Any]]


class Reports:
    """Runs the reports of all models one after the other. `reading` runs a report with the connection open; `batched`
    makes the batcher. Callers that wait for the same report share one."""

    def __init__(
        self,
        reading: Callable[[Report], dict[str, Any]],
        batched: Callable[[Process[Any, Any]], Batcher[Any, Any]],
    ) -> None:
        self._reading = reading
        self._batcher: Batcher[tuple[Monitor, Query], dict[str, Any]] = batched(self._process)

    def submit(self, monitor: "Monitor", query: Query) -> dict[str, Any]:
        """The report of a monitor for a query. Raises as the report, and Unavailable if the log cannot be read now."""
        return self._batcher.submit((monitor, query))

    def _process(self, wanted: list[tuple["Monitor", Query]]) -> list[dict[str, Any] | Exception]:
        outcomes = {one: self._outcome(*one) for one in dict.fromkeys(wanted)}
        return [outcomes[one] for one in wanted]

    def _outcome(self, monitor: "Monitor", query: Query) -> dict[str, Any] | Exception:
        try:
            return self._reading(monitor.prepared(query))
        except ServiceError as error:
            return error


class Monitor:
    """Makes the bodies of /performance and /drift while a model serves, through the queue of all `reports`. A report on
    another version uses the manifest that `manifest_of` gives, or that of the `served` model if it gives None."""

    def __init__(
        self, served: ModelVersion, caches: LogCaches, manifest_of: ManifestOf, reports: Reports, compare: Compare
    ) -> None:
        self._served = served
        self._caches = caches
        self._manifest_of = manifest_of
        self._reports = reports
        self._compare = compare
        self._own = self._other = caches.of(served.manifest.task)

    def performance(self, query: PerformanceQuery) -> dict[str, Any]:
        """The body of GET /performance. Raises InvalidQuery for too many windows, for a column that the model does not
        have and for models that cannot be compared, UnknownModel for a model to compare that is not known, and
        Unavailable if the log cannot be read now."""
        return self._reports.submit(self, query)

    def drift(self, query: DriftQuery) -> dict[str, Any]:
        """The body of GET /drift. Raises UnknownModel for an unknown reference, and Unavailable if the log cannot be
        read now."""
        return self._reports.submit(self, query)

    def prepared(self, query: Query) -> Report:
        """The report itself, to be made with the connection open. Reads the manifests of other versions; raises
        UnknownModel for an unknown reference or model to compare, and Unavailable."""
        version = query.selection.model_version
        model = (version and self._model(version)) or self._served
        log = self._log(model.manifest.task)
        if isinstance(query, PerformanceQuery):
            report = partial(Performance(model.manifest, log.columns).report, query)
            return report if query.compare is None else self._with_comparison(report, query.selection, *query.compare)
        reference = self._known("reference", query.reference) if query.reference else model
        return partial(Drift(model, log, reference).report, query)

    def _with_comparison(self, report: Report, selection: Selection, first: str, second: str) -> Report:
        one, other = (self._known("compare", version) for version in (first, second))
        return lambda: {**report(), "comparison": self._compare(one, other, selection)}

    def _known(self, parameter: str, version: str) -> ModelVersion:
        found = self._model(version)
        if found is None:
            raise UnknownModel(f"{parameter}: there is no model {shown(version)} in the registry.")
        return found

    def _model(self, version: str) -> ModelVersion | None:
        if version == self._served.version:
            return self._served
        manifest = self._manifest_of(version)
        return None if manifest is None else ModelVersion(version, manifest)

    def _log(self, task: Task) -> LogCache:
        """The log as the task reads it. Beside that of the served model, only the last one is kept."""
        found = self._caches.of(task)
        if found is not self._own:
            self._other = found
        return found
