"""The composition root: the only module that knows all parts, builds each once and hands it to those that use it."""

import json
import logging
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

from flask import Flask
from flask_restful import Api

from serialize import Artifact, load
from serialize.artifact import Answers
from serialize.recipes import RECIPES
from serialize.trust import Trust
from service.batching import Batcher, run_in_background, runner
from service.demo import Demo
from service.errors import InvalidBody
from service.export.reset_dump import dump_log
from service.monitoring.drift import Drift
from service.monitoring.monitor import Monitor
from service.monitoring.performance import Performance
from service.prediction.filter import PerformanceQuery, Selection
from service.prediction.observation import ObservationParser
from service.prediction.scoring import Score, Scorer
from service.prediction.service import PredictionService
from service.prediction.true_label import LabelParser
from service.settings import Settings
from service.storage.column_cache import ColumnCache
from service.storage.connection import database_of, kind, prepare
from service.storage.deletion import Erasure, Reset
from service.storage.log_reader import log_reader
from service.storage.postgresql_columns import PostgresqlColumns
from service.storage.predictions import PredictionLog
from service.storage.session import Session
from service.storage.sqlite_columns import SqliteColumns
from service.telemetry import log_format
from service.telemetry.live_performance import LivePerformance
from service.telemetry.metric_definitions import MODEL, Sample
from service.telemetry.metrics import CONTENT_TYPE, Metrics
from service.web.access_log import AccessLogMiddleware, RequestInfo
from service.web.app import Application
from service.web.auth import ApiKeyMiddleware
from service.web.example import ObservationValues, example_observation
from service.web.json_body import JsonBody
from service.web.pages import LogPages
from service.web.problem import answer_error, json_api, refusal
from service.web.query import LogArguments
from service.web.resources import (
    Document,
    DriftReport,
    EmptyLog,
    Live,
    Measured,
    ModelCard,
    PerformanceReport,
    Predict,
    Predictions,
    Ready,
    SeedLog,
    Update,
)

_PATIENCE_SECONDS = 5.0
_PROBE_PATIENCE_SECONDS = 2.0  # who asks for health does not wait long

_log = logging.getLogger("service")


def create_app(settings: Settings) -> Flask:
    """The service as a WSGI application: the artifact verified and its golden rows proven, the database prepared,
    and no connection open. Raises ArtifactError or DatabaseError where it must not start."""
    log_format.configure(settings.log_level)
    artifact = _artifact(settings)
    prepare(database_of(settings))
    app = Application("service", answer_error)
    app.debug = False  # whatever FLASK_DEBUG says: it would change how failures are answered
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.json.sort_keys = False  # type: ignore[attr-defined]
    session = app.extensions["session"] = Session(database_of(settings, _PATIENCE_SECONDS), _PATIENCE_SECONDS)
    monitor = _monitor(settings, artifact)
    figures = _live_figures(artifact, monitor, lambda: metrics.directory)
    metrics = app.extensions["metrics"] = _metrics(app, artifact, figures)
    api = json_api(app)
    _add_resources(api, settings, artifact, _flow(settings, artifact, session, metrics), monitor)
    _add_metrics(api, settings, metrics, figures)
    gate = ApiKeyMiddleware(
        app.wsgi_app,
        settings.api_key,
        settings.admin_key,
        lambda error, environ: refusal(error, RequestInfo.of(environ)),
    )
    app.wsgi_app = AccessLogMiddleware(gate, artifact.version, metrics.request, metrics.refused)  # type: ignore[method-assign]
    if not settings.api_key:
        log_format.event(_log, logging.WARNING, "auth-disabled", reason="API_KEY is not set; all clients have access.")
    log_format.event(
        _log,
        logging.INFO,
        "start",
        name=artifact.manifest.name,
        version=artifact.version,
        task=artifact.manifest.task.kind,
        database=kind(session.database),
        scorer="compiled" if artifact.compiled and settings.scorer == "compiled" else "pipeline",
    )
    return app


def _artifact(settings: Settings) -> Artifact:
    """The artifact, loaded if it is trusted, and proven to answer as it did when it was dumped."""
    key = settings.model_signing_key or None
    artifact = load(settings.artifacts, Trust(settings.model_digest or None, key, settings.require_signed))
    for name, version, installed in artifact.other_versions:
        log_format.event(_log, logging.WARNING, "other-version", library=name, dumped_with=version, installed=installed)
    artifact.verify(_answers(settings, artifact))
    return artifact


def _add_resources(api: Api, settings: Settings, artifact: Artifact, flow: PredictionService, monitor: Monitor) -> None:
    probe = Session(database_of(settings, _PROBE_PATIENCE_SECONDS), _PROBE_PATIENCE_SECONDS)

    def check_health(waiting: list[None]) -> list[None]:
        probe.ping()
        return waiting

    health = _batcher(settings, check_health)
    given: dict[str, Any] = {"flow": flow, "body": JsonBody(settings.max_body_bytes, settings.max_array_bytes)}
    api.add_resource(Predict, "/predict", resource_class_kwargs=given)
    api.add_resource(Update, "/update", resource_class_kwargs=given)
    api.add_resource(ModelCard, "/model", resource_class_args=(_card(artifact),))
    api.add_resource(Document, "/openapi.json", resource_class_args=(_document(settings, artifact),))
    api.add_resource(
        PerformanceReport, "/performance", resource_class_args=(monitor, artifact.manifest.signature.names)
    )
    api.add_resource(DriftReport, "/drift", resource_class_args=(monitor,))
    api.add_resource(Live, "/livez")
    api.add_resource(Ready, "/readyz", "/healthz", resource_class_args=(lambda: health.submit(None),))
    _add_administration(api, settings, artifact, **given)


def _add_administration(
    api: Api, settings: Settings, artifact: Artifact, flow: PredictionService, body: JsonBody
) -> None:
    reset = Reset(Session(database_of(settings)), partial(dump_log, folder=Path(settings.exports)))
    emptying = _batcher(settings, reset.empty_for_each)
    demo = Demo(artifact.manifest, flow, RECIPES, settings.max_items)
    api.add_resource(EmptyLog, "/admin/reset", resource_class_args=(reset, lambda: emptying.submit(None), body))
    api.add_resource(SeedLog, "/admin/seed", resource_class_args=(demo, body))
    api.add_resource(Predictions, "/predictions", resource_class_args=(_pages(settings, artifact),))


def _pages(settings: Settings, artifact: Artifact) -> LogPages:
    """The log to be read and erased from outside, through a connection for either."""
    reading, erasing = (Session(database_of(settings, _PATIENCE_SECONDS), _PATIENCE_SECONDS) for _ in range(2))
    return LogPages(
        LogArguments(artifact.manifest.task),
        log_reader(reading.database),
        reading.read,
        Erasure(erasing, log_reader(erasing.database)).one,
        lambda process: _batcher(settings, process),
    )


def _add_metrics(api: Api, settings: Settings, metrics: Metrics, figures: LivePerformance) -> None:
    def read_once(waiting: list[None]) -> list[str]:
        return [metrics.render()] * len(waiting)

    reading = _batcher(settings, read_once)

    def text() -> str:
        read = str(reading.submit(None))
        figures.refresh()
        return read

    api.add_resource(Measured, "/metrics", resource_class_args=(text, CONTENT_TYPE))


def _metrics(app: Application, artifact: Artifact, figures: LivePerformance) -> Metrics:
    task, served = artifact.manifest.task, {"model_version": artifact.version, "name": artifact.manifest.name}
    classes = {label: label if isinstance(label, str) else json.dumps(label) for label in task.classes}
    return Metrics(
        artifact.version,
        classes or {None: ""},
        app.route_of,
        lambda: (Sample(MODEL, served, 1), *figures.samples()),
    )


def _live_figures(artifact: Artifact, monitor: Monitor, folder: Callable[[], Path]) -> LivePerformance:
    own = PerformanceQuery(Selection(artifact.version))
    return LivePerformance(artifact.version, lambda: monitor.performance(own), folder, run_in_background)


def _flow(settings: Settings, artifact: Artifact, session: Session, metrics: Metrics) -> PredictionService:
    task = artifact.manifest.task
    log = PredictionLog(session, artifact.version, task.threshold, regression=task.kind == "regression")
    return PredictionService(
        ObservationParser(artifact.manifest.signature),
        LabelParser(task),
        Scorer(task, _answers(settings, artifact)),
        log.commit,
        lambda process: _batcher(settings, process, metrics.waiting),
        settings.max_items,
        metrics.batch,
    )


def _monitor(settings: Settings, artifact: Artifact) -> Monitor:
    """The reports on the log, read through a connection of their own."""
    reader = Session(database_of(settings, _PATIENCE_SECONDS))
    read = SqliteColumns if kind(reader.database) == "sqlite" else PostgresqlColumns
    manifest = artifact.manifest
    columns = read(reader.database, manifest.task)
    ledger = ColumnCache(columns)
    return Monitor(
        Performance(manifest, ledger),
        Drift(manifest, artifact.version, ledger, columns.documents),
        reader.read,
        lambda process: _batcher(settings, process),
    )


def _document(settings: Settings, artifact: Artifact) -> Callable[[], dict[str, Any]]:
    """What GET /openapi.json answers, built at the first call. If two first calls overlap, each builds all of it."""
    manifest = artifact.manifest
    parser = ObservationParser(manifest.signature)
    scorer = Scorer(manifest.task, _answers(settings, artifact))

    def is_answered(values: ObservationValues) -> bool:
        try:
            (score,) = scorer.score_apart([parser.parse({"id": 0, "observation": values})])
        except InvalidBody:
            return False
        return isinstance(score, Score)

    example = example_observation(manifest, is_answered)

    @cache
    def build() -> dict[str, Any]:
        from service.web.openapi import document  # noqa: PLC0415 - loaded only if a client asks for it

        return document(manifest, artifact.version, example, settings.max_items, needs_key=bool(settings.api_key))

    return build


def _answers(settings: Settings, artifact: Artifact) -> Answers:
    """The path that serves: the compiled model where there is one and it is wanted, else the pipeline."""
    if artifact.compiled is not None and settings.scorer == "compiled":
        return artifact.compiled.outputs
    return artifact.model.outputs


def _batcher(
    settings: Settings, process: Any, on_queue_depth: Callable[[int], None] | None = None
) -> Batcher[Any, Any]:
    return Batcher(
        process,
        runner(),
        max_pending=settings.max_pending,
        timeout=settings.request_timeout,
        on_queue_depth=on_queue_depth,
    )


def _card(artifact: Artifact) -> dict[str, Any]:
    """What GET /model answers."""
    manifest = artifact.manifest
    return {
        "name": manifest.name,
        "version": artifact.version,
        **manifest.task.to_json(),
        "signature": manifest.signature.to_json(),
        "metrics": manifest.metrics,
        "importances": manifest.importances,
        "libraries": manifest.libraries,
        "compiled": artifact.compiled is not None,
        "not_compiled": manifest.not_compiled,
    }
