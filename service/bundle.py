"""All that serves one model, built as one piece: a swap exchanges the bundle, and a request uses the bundle that it
began with. What the models share, such as connections and queues, outlives a swap."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from typing import Any

from flask_restful import Api

from serialize import Artifact
from serialize.recipes import RECIPES
from service.batching import Aside, Batcher, run_in_background
from service.demo import Demo
from service.errors import InvalidBody
from service.learning.jobs import Jobs
from service.monitoring.drift import ModelVersion
from service.monitoring.log_cache import LogCaches
from service.monitoring.monitor import Compare, ManifestOf, Monitor, Reports
from service.prediction.arrays.label_array import LabelArrayParser
from service.prediction.arrays.observation_array import ColumnParser
from service.prediction.artifact_scorer import scorer_of
from service.prediction.batches import Outcome, ServedModel, Work
from service.prediction.filter import PerformanceQuery, Selection
from service.prediction.observation import ObservationParser
from service.prediction.scoring import Score
from service.prediction.service import FEW_ITEMS, PredictionService
from service.prediction.true_label import LabelParser
from service.registry.catalog import Catalog, facts
from service.registry.champion import Wanted
from service.settings import Settings
from service.storage.deletion import Reset
from service.storage.predictions import PredictionLog
from service.storage.session import Session
from service.telemetry.live_jobs import LiveJobs
from service.telemetry.live_performance import LivePerformance
from service.telemetry.metric_definitions import MODEL, Sample
from service.telemetry.metrics import CONTENT_TYPE, Metrics
from service.web import model_resources, resources
from service.web.app import Application
from service.web.auth import ApiKeyMiddleware
from service.web.example import ObservationValues, example_observation
from service.web.index import index
from service.web.json_body import BodyLimits, JsonBody
from service.web.pages import LogAccess, LogPages
from service.web.problem import answer_error, encoded, json_api, refusal
from service.web.query import LogArguments


@dataclass(frozen=True, slots=True)
class Shared:
    """What all models use: the session that writes predictions and the batcher before it, the queue of the reports with
    the columns of the log, the manifests of other versions and the comparison of two models, and the functions of
    resources that need no model."""

    settings: Settings
    session: Session
    batcher: Batcher[Work, Outcome]
    reports: Reports
    caches: LogCaches
    manifest_of: ManifestOf
    compare: Compare
    metrics: Metrics
    render: Callable[[], str]
    is_ready: Callable[[], None]
    reset: Reset
    empty: Callable[[], Any]
    log: LogAccess
    catalog: Catalog
    jobs: Jobs
    live_jobs: LiveJobs
    aside: Aside
    wanted: Wanted


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Bundle:
    """One model as it is served: the Flask application with its routes, the WSGI application that checks the keys
    before it, and for /metrics the live performance and the jobs."""

    artifact: Artifact
    flask: Application
    application: ApiKeyMiddleware
    live: LivePerformance
    live_jobs: LiveJobs

    @property
    def version(self) -> str:
        """The version of the model."""
        return self.artifact.version

    def samples(self) -> list[Sample]:
        """The gauges of the model for a scrape."""
        labels = {"model_version": self.version, "name": self.artifact.manifest.name}
        return [Sample(MODEL, labels, 1), *self.live.samples(), *self.live_jobs.samples()]


def build(shared: Shared, artifact: Artifact) -> Bundle:
    """The bundle of a model whose golden rows were compared. It answers no request yet."""
    manifest = artifact.manifest
    served = ModelVersion(artifact.version, manifest)
    monitor = Monitor(served, shared.caches, shared.manifest_of, shared.reports, shared.compare)
    report = partial(monitor.performance, PerformanceQuery(Selection(artifact.version)))
    live = LivePerformance(artifact.version, report, lambda: shared.metrics.directory, run_in_background)
    classes = {label: label if isinstance(label, str) else json.dumps(label) for label in manifest.task.classes}
    shared.metrics.add_model(artifact.version, classes or {None: ""})
    app = flask_app(shared.aside)
    settings = shared.settings
    service = PredictionService(
        _served(shared, artifact),
        shared.batcher,
        settings.max_items,
        shared.aside,
        lambda use_case, way: shared.metrics.array(f"/{use_case}", way),
    )
    _add_resources(json_api(app), shared, artifact, service, monitor, live)
    guarded = ApiKeyMiddleware(app.wsgi_app, settings.api_key, settings.admin_key, refusal)
    return Bundle(artifact, app, guarded, live, shared.live_jobs)


def flask_app(aside: Aside) -> Application:
    """A Flask application without routes."""
    app = Application("service", partial(answer_error, aside=aside))
    app.debug = False  # FLASK_DEBUG must not change how failures are answered
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.json.sort_keys = False  # type: ignore[attr-defined]
    return app


def _served(shared: Shared, artifact: Artifact) -> ServedModel:
    task = artifact.manifest.task
    return ServedModel(
        artifact.version,
        ObservationParser(artifact.manifest.signature),
        ColumnParser(artifact.manifest.signature),
        LabelParser(task),
        LabelArrayParser(task),
        scorer_of(artifact, compiled=shared.settings.scorer == "compiled"),
        PredictionLog(shared.session, artifact.version, task.threshold, regression=task.kind == "regression"),
    )


def _add_resources(
    api: Api,
    shared: Shared,
    artifact: Artifact,
    service: PredictionService,
    monitor: Monitor,
    live: LivePerformance,
) -> None:
    manifest, settings, aside = artifact.manifest, shared.settings, shared.aside
    columns = len(manifest.signature.names)
    limits = BodyLimits(settings.max_body_bytes, settings.max_array_bytes, settings.max_items, columns)
    body = JsonBody(limits, aside)

    def encode(data: Any) -> bytes:
        """The bytes of an answer, with few of its items encoded in the event loop."""
        if isinstance(data, bytes):
            return data
        is_long = isinstance(data, list) and len(data) > FEW_ITEMS
        return aside(partial(encoded, data)) if is_long else encoded(data)

    def metrics_text() -> str:
        text = shared.render()
        live.refresh()
        shared.live_jobs.refresh()
        return text

    table: list[tuple[type, tuple[str, ...], tuple[Any, ...]]] = [
        (resources.Index, ("/",), (cache(lambda: encoded(index(manifest, artifact.version))),)),
        (resources.Predict, ("/predict",), (service, body, encode)),
        (resources.Update, ("/update",), (service, body, encode)),
        (resources.ModelCard, ("/model",), (_model_card(shared.wanted, artifact),)),
        (resources.Document, ("/openapi.json",), (_document(settings, artifact),)),
        (resources.PerformanceReport, ("/performance",), (monitor, manifest.signature.names)),
        (resources.DriftReport, ("/drift",), (monitor,)),
        (resources.MetricsText, ("/metrics",), (metrics_text, CONTENT_TYPE)),
        (resources.Live, ("/livez",), ()),
        (resources.Ready, ("/readyz", "/healthz"), (shared.is_ready,)),
        (resources.EmptyLog, ("/admin/reset",), (shared.reset, shared.empty, body)),
        (resources.SeedLog, ("/admin/seed",), (Demo(manifest, service, RECIPES, settings.max_items, aside), body)),
        (resources.Predictions, ("/predictions",), (LogPages(LogArguments(manifest.task), shared.log),)),
        (model_resources.Models, ("/models",), (shared.catalog,)),
        (model_resources.OneModel, ("/models/<version>",), (shared.catalog,)),
        (model_resources.Promote, ("/admin/models/<version>/promote",), (shared.catalog, body)),
        (model_resources.Rollback, ("/admin/models/rollback",), (shared.catalog, body)),
        (model_resources.Retrain, ("/admin/retrain",), (shared.jobs, body, manifest.signature.names)),
        (model_resources.ListedJobs, ("/admin/jobs",), (shared.jobs,)),
        (model_resources.OneJob, ("/admin/jobs/<job>",), (shared.jobs,)),
    ]
    for resource, urls, collaborators in table:
        api.add_resource(resource, *urls, resource_class_args=collaborators)


def _document(settings: Settings, artifact: Artifact) -> Callable[[], bytes]:
    """What GET /openapi.json answers, built at the first call. If two first calls overlap, each builds all of it."""
    manifest = artifact.manifest
    parser, scorer = ObservationParser(manifest.signature), scorer_of(artifact, compiled=settings.scorer == "compiled")

    def is_answered(values: ObservationValues) -> bool:
        try:
            (score,) = scorer.score_apart([parser.parse({"id": 0, "observation": values})])
        except InvalidBody:
            return False
        return isinstance(score, Score)

    example = example_observation(manifest, is_answered)

    @cache
    def build() -> bytes:
        from service.web.openapi import document  # noqa: PLC0415 - loaded only if a client asks for it

        needs_key = bool(settings.api_key)
        return encoded(document(manifest, artifact.version, example, settings.max_items, needs_key=needs_key))

    return build


def _model_card(wanted: Wanted, artifact: Artifact) -> Callable[[], bytes]:
    """What GET /model answers: encoded again only if the champion is another, or cannot serve."""

    @lru_cache(maxsize=1)
    def card(version: str | None, why: str | None) -> bytes:
        return encoded({**_card(artifact), "serving": artifact.version, "wanted": version, "why": why})

    return lambda: card(wanted.version, wanted.why)


def _card(artifact: Artifact) -> dict[str, Any]:
    manifest = artifact.manifest
    return {
        "name": manifest.name,
        "version": artifact.version,
        **facts(manifest),
        "compiled": artifact.compiled is not None,
    }
