"""The composition root: the only module that knows all parts. It builds each part once and passes it to its users."""

import json
import logging
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

from flask import Flask
from flask_restful import Api
from peewee import Database

from serialize import Artifact, load
from serialize.artifact import Answers
from serialize.recipes import RECIPES
from serialize.task import Label
from service.batching import Aside, Batcher, OneAtATime, run_in_background, runner
from service.demo import Demo
from service.errors import InvalidBody
from service.export.reset_dump import dump_log
from service.monitoring.drift import Drift
from service.monitoring.monitor import Monitor
from service.monitoring.performance import Performance
from service.pacing import Paced
from service.prediction.filter import PerformanceQuery, Selection
from service.prediction.observation import ObservationParser
from service.prediction.scoring import Score, Scorer
from service.prediction.service import FEW_ITEMS, OnBatch, PredictionService
from service.prediction.true_label import LabelParser
from service.settings import Settings
from service.storage.column_cache import ColumnCache
from service.storage.connection import connection_limit, database_of, kind
from service.storage.deletion import Erasure, Reset
from service.storage.log_reader import log_reader
from service.storage.migrate import prepare
from service.storage.postgresql_columns import PostgresqlColumns
from service.storage.predictions import PredictionLog
from service.storage.session import Session
from service.storage.sqlite_columns import SqliteColumns
from service.storage.sqlite_file import is_lost_with_container
from service.telemetry import log_format
from service.telemetry.live_performance import LivePerformance
from service.telemetry.metric_definitions import MODEL, Sample
from service.telemetry.metrics import CONTENT_TYPE, Metrics
from service.web import resources
from service.web.access_log import AccessLogMiddleware
from service.web.app import Application
from service.web.auth import ApiKeyMiddleware
from service.web.body_budget import BodyBudget
from service.web.example import ObservationValues, example_observation
from service.web.index import index
from service.web.json_body import BodyLimits, JsonBody
from service.web.pages import LogPages
from service.web.problem import answer_error, encoded, json_api, refusal
from service.web.query import LogArguments

_PATIENCE_SECONDS = 5.0
_PROBE_PATIENCE_SECONDS = 2.0  # a health check must fail fast
_SESSIONS = 6  # that create_app makes; each has at most one connection
_NEARLY_ALL = 0.8  # of the connections that the server allows; others need some too

Batched = Callable[..., Batcher[Any, Any]]

_log = logging.getLogger("service")


def create_app(settings: Settings) -> Flask:
    """The service as a WSGI application. Verifies the artifact with its golden rows and migrates the database; leaves
    no connection open. Raises ArtifactError or DatabaseError if the service must not start."""
    log_format.configure(settings.log_level)
    artifact = _artifact(settings)
    database = database_of(settings)
    prepare(database)
    _warn_of_few_connections(settings.web_concurrency, connection_limit(database))
    _warn_of_ephemeral_log(database)
    aside: Aside = OneAtATime(runner(), settings.request_timeout)
    app = Application("service", partial(answer_error, aside=aside))
    app.debug = False  # FLASK_DEBUG must not change how failures are answered
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.json.sort_keys = False  # type: ignore[attr-defined]
    session = app.extensions["session"] = _session(settings)
    limited = partial(Batcher, max_pending=settings.max_pending, timeout=settings.request_timeout)
    paced = Paced(runner())
    batched: Batched = partial(limited, run=runner())
    read_batched: Batched = partial(limited, run=paced)  # for what reads much
    monitor = _monitor(settings, artifact, read_batched)
    report = partial(monitor.performance, PerformanceQuery(Selection(artifact.version)))
    live = LivePerformance(artifact.version, report, lambda: metrics.directory, run_in_background)
    metrics = app.extensions["metrics"] = _metrics(app, artifact, live)

    def on_batch(size: int, seconds: float, predicted: list[Label | None]) -> None:
        paced.note_batch()
        metrics.batch(size, seconds, predicted)

    service = _prediction_service(settings, artifact, session, metrics.waiting, on_batch, batched, aside)
    render = _shared(read_batched, metrics.render)
    pages = _pages(settings, artifact, batched, read_batched)

    def metrics_text() -> str:
        text = str(render())
        live.refresh()
        return text

    _add_resources(json_api(app), settings, artifact, service, monitor, metrics_text, pages, batched, aside)
    guarded = ApiKeyMiddleware(app.wsgi_app, settings.api_key, settings.admin_key, refusal)
    budget = app.extensions["budget"] = BodyBudget(settings.max_bytes_in_flight, settings.request_timeout)
    app.wsgi_app = AccessLogMiddleware(  # type: ignore[method-assign]
        guarded, artifact.version, metrics.request, metrics.refused, budget
    )
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


def _warn_of_few_connections(workers: int, limit: int | None) -> None:
    """Logs a warning if the workers of this machine may need nearly all connections of the database."""
    needed = workers * _SESSIONS
    if limit is not None and needed > _NEARLY_ALL * limit:
        log_format.event(
            _log, logging.WARNING, "few-connections", limit=limit, needed=needed, workers=workers, of_each=_SESSIONS,
            reason="The database allows few connections; set WEB_CONCURRENCY lower, or let it allow more.",
        )  # fmt: skip


def _warn_of_ephemeral_log(database: Database) -> None:
    """Logs a warning if the log is a file that is deleted with its container."""
    if kind(database) == "sqlite" and is_lost_with_container(database.database):
        log_format.event(
            _log, logging.WARNING, "ephemeral-log", file=database.database,
            reason="The log is deleted with the container. Mount a volume there, or set DATABASE_URL to PostgreSQL.",
        )  # fmt: skip


def _artifact(settings: Settings) -> Artifact:
    """Loads the artifact if it is trusted, and verifies that it still gives the outputs of its golden rows."""
    artifact = load(settings.artifacts, settings.trust())
    for name, version, installed in artifact.other_versions:
        log_format.event(_log, logging.WARNING, "other-version", library=name, dumped_with=version, installed=installed)
    artifact.verify(_outputs(settings, artifact))
    return artifact


def _outputs(settings: Settings, artifact: Artifact) -> Answers:
    """The function that scores: the compiled model if there is one and the settings allow it, else the pipeline."""
    if artifact.compiled is not None and settings.scorer == "compiled":
        return artifact.compiled.outputs
    return artifact.model.outputs


def _scorer(settings: Settings, artifact: Artifact) -> Scorer:
    return Scorer(artifact.manifest.task, _outputs(settings, artifact), artifact.model.class_indices)


def _session(settings: Settings, patience: float = _PATIENCE_SECONDS) -> Session:
    return Session(database_of(settings, patience), patience)


def _monitor(settings: Settings, artifact: Artifact, batched: Batched) -> Monitor:
    """The reports on the log. They read through a connection of their own."""
    reader, manifest = _session(settings), artifact.manifest
    read = SqliteColumns if kind(reader.database) == "sqlite" else PostgresqlColumns
    columns = read(reader.database, manifest.task)
    cache = ColumnCache(columns)
    drift = Drift(manifest, artifact.version, cache, columns.documents)
    return Monitor(Performance(manifest, cache), drift, reader.read, batched)


def _metrics(app: Application, artifact: Artifact, live: LivePerformance) -> Metrics:
    version, manifest = artifact.version, artifact.manifest
    classes = {label: label if isinstance(label, str) else json.dumps(label) for label in manifest.task.classes}
    model = Sample(MODEL, {"model_version": version, "name": manifest.name}, 1)
    return Metrics(version, classes or {None: ""}, app.route_of, lambda: (model, *live.samples()))


def _prediction_service(
    settings: Settings,
    artifact: Artifact,
    session: Session,
    on_queue_depth: Callable[[int], None],
    on_batch: OnBatch,
    batched: Batched,
    aside: Aside,
) -> PredictionService:
    task = artifact.manifest.task
    log = PredictionLog(session, artifact.version, task.threshold, regression=task.kind == "regression")
    return PredictionService(
        ObservationParser(artifact.manifest.signature),
        LabelParser(task),
        _scorer(settings, artifact),
        log.commit,
        partial(batched, on_queue_depth=on_queue_depth),
        settings.max_items,
        on_batch,
        aside,
    )


def _add_resources(
    api: Api,
    settings: Settings,
    artifact: Artifact,
    service: PredictionService,
    monitor: Monitor,
    metrics_text: Callable[[], str],
    pages: LogPages,
    batched: Batched,
    aside: Aside,
) -> None:
    manifest = artifact.manifest
    columns = len(manifest.signature.names)
    limits = BodyLimits(settings.max_body_bytes, settings.max_array_bytes, settings.max_items, columns)
    body = JsonBody(limits, aside)

    def encode(data: Any) -> bytes:
        """The bytes of an answer, with few of its items encoded in the event loop."""
        is_long = isinstance(data, list) and len(data) > FEW_ITEMS
        return aside(partial(encoded, data)) if is_long else encoded(data)

    is_ready = _shared(batched, _session(settings, _PROBE_PATIENCE_SECONDS).ping)
    reset = Reset(Session(database_of(settings)), partial(dump_log, folder=Path(settings.exports)))
    empty = partial(batched(reset.empty_for_each).submit, None)
    table: list[tuple[type, tuple[str, ...], tuple[Any, ...]]] = [
        (resources.Index, ("/",), (cache(lambda: encoded(index(manifest, artifact.version))),)),
        (resources.Predict, ("/predict",), (service, body, encode)),
        (resources.Update, ("/update",), (service, body, encode)),
        (resources.ModelCard, ("/model",), (cache(lambda: encoded(_card(artifact))),)),
        (resources.Document, ("/openapi.json",), (_document(settings, artifact),)),
        (resources.PerformanceReport, ("/performance",), (monitor, manifest.signature.names)),
        (resources.DriftReport, ("/drift",), (monitor,)),
        (resources.MetricsText, ("/metrics",), (metrics_text, CONTENT_TYPE)),
        (resources.Live, ("/livez",), ()),
        (resources.Ready, ("/readyz", "/healthz"), (is_ready,)),
        (resources.EmptyLog, ("/admin/reset",), (reset, empty, body)),
        (resources.SeedLog, ("/admin/seed",), (Demo(manifest, service, RECIPES, settings.max_items, aside), body)),
        (resources.Predictions, ("/predictions",), (pages,)),
    ]
    for resource, urls, collaborators in table:
        api.add_resource(resource, *urls, resource_class_args=collaborators)


def _shared(batched: Batched, call: Callable[[], Any]) -> Callable[[], Any]:
    """The same function, called once for all callers that wait for it at the same time."""
    batcher = batched(lambda waiting: [call()] * len(waiting))
    return lambda: batcher.submit(None)


def _pages(settings: Settings, artifact: Artifact, batched: Batched, read_batched: Batched) -> LogPages:
    """Reads and erases log rows, each through a connection of its own."""
    reading, erasing = _session(settings), _session(settings)
    erase = Erasure(erasing, log_reader(erasing.database)).one
    arguments, reader = LogArguments(artifact.manifest.task), log_reader(reading.database)
    return LogPages(arguments, reader, reading.read, erase, read_batched, batched)


def _document(settings: Settings, artifact: Artifact) -> Callable[[], bytes]:
    """What GET /openapi.json answers, built at the first call. If two first calls overlap, each builds all of it."""
    manifest = artifact.manifest
    parser, scorer = ObservationParser(manifest.signature), _scorer(settings, artifact)

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


def _card(artifact: Artifact) -> dict[str, Any]:
    """The body of GET /model."""
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
        "warnings": list(manifest.warnings),
        "class_counts": manifest.class_counts,
    }
