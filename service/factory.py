"""The composition root: the only module that knows all parts. It builds each part once and passes it to its users."""

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from flask import Flask
from peewee import Database

from serialize import Artifact, ArtifactError
from serialize.artifact import load_content
from serialize.content import Content, read_content
from service.batching import Aside, Batcher, OneAtATime, run_here, run_in_background, runner
from service.bundle import Bundle, Shared, build, flask_app
from service.export.reset_dump import dump_log
from service.learning.comparison import comparison
from service.learning.jobs import Jobs
from service.learning.live_figures import live_figures
from service.learning.preconditions import refusal
from service.monitoring.log_cache import LogCaches
from service.monitoring.monitor import Reports
from service.pacing import Paced
from service.prediction.artifact_scorer import verify
from service.prediction.batches import Batches, NewPredictions
from service.registry.catalog import Catalog
from service.registry.champion import Wanted, load_champion, make_first_champion, note_other_artifacts
from service.registry.manifests import manifests_of
from service.registry.release import registry_of
from service.registry.swap import Swap
from service.settings import Settings
from service.storage.connection import connection_limit, database_of, kind
from service.storage.deletion import Erasure, Reset
from service.storage.learning.jobs import JobStore
from service.storage.migrate import prepare
from service.storage.models.promotions import Promotions
from service.storage.reading.log_reader import log_reader
from service.storage.session import Session, SessionInTurn
from service.storage.sqlite_file import is_lost_with_container
from service.telemetry import log_format
from service.telemetry.live_jobs import LiveJobs
from service.telemetry.metric_definitions import Sample
from service.telemetry.metrics import Metrics
from service.web.access_log import AccessLogMiddleware, Serving
from service.web.body_budget import BodyBudget
from service.web.pages import LogAccess

_PATIENCE_SECONDS = 5.0
_PROBE_PATIENCE_SECONDS = 2.0  # a health check must fail fast
_SESSIONS = 8  # that create_app makes; each has at most one connection
_NEARLY_ALL = 0.8  # of the connections that the server allows; others need some too

Batched = Callable[..., Batcher[Any, Any]]

_log = logging.getLogger("service")


def create_app(settings: Settings) -> Flask:
    """The service as a WSGI application. Migrates the database, and verifies the model with its golden rows; leaves no
    connection open. Raises ArtifactError or DatabaseError if the service must not start."""
    log_format.configure(settings.log_level)
    database = database_of(settings)
    prepare(database)
    wanted = Wanted()
    artifact = _artifact(settings, wanted)
    _warn_of_few_connections(settings.web_concurrency, connection_limit(database))
    _warn_of_ephemeral_log(database)
    aside: Aside = OneAtATime(runner(), settings.request_timeout)
    app = flask_app(aside)  # its routes are those of the bundle that serves
    budget = app.extensions["budget"] = BodyBudget(settings.max_bytes_in_flight, settings.request_timeout)
    session = app.extensions["session"] = _session(settings)

    def route_of(path: str) -> str | None:
        return serving.model.flask.route_of(path)

    def samples() -> list[Sample]:
        return serving.model.samples()

    metrics = app.extensions["metrics"] = Metrics(route_of, samples)
    shared = _shared(settings, session, metrics, aside, wanted)
    serving: Serving[Bundle] = Serving(build(shared, artifact))
    app.extensions["serving"] = serving
    app.extensions["swap"] = _swap(settings, shared, serving)
    app.wsgi_app = AccessLogMiddleware(  # type: ignore[method-assign]
        serving, metrics.request, metrics.refused, budget
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


def _swap(settings: Settings, shared: Shared, serving: Serving[Bundle]) -> Swap | None:
    """What follows the champion in a worker, through a connection of its own; None if the registry is off."""
    registry = registry_of(settings, _session(settings))
    if registry is None or registry.digest is not None:
        return None

    def exchange(content: Content) -> Bundle:
        before, serving.model = serving.model, build(shared, _proven(settings, load_content(content)))
        return before

    return Swap(
        registry,
        shared.wanted,
        lambda: serving.model.version,
        exchange,
        lambda: shared.metrics.directory,
        OneAtATime(runner(), settings.request_timeout),
        shared.metrics.lacks_champion,
    )


def _shared(settings: Settings, session: Session, metrics: Metrics, aside: Aside, wanted: Wanted) -> Shared:
    """What all models use. Each part that reads or erases has a connection of its own."""
    limited = partial(Batcher, max_pending=settings.max_pending, timeout=settings.request_timeout)
    paced = Paced(runner())
    batched: Batched = partial(limited, run=runner())
    read_batched: Batched = partial(limited, run=paced)  # for what reads much

    def on_batch(size: int, seconds: float, predicted: NewPredictions) -> None:
        paced.note_batch()
        metrics.batch(size, seconds, predicted)

    reader, reading, erasing = _session(settings), _session(settings), _session(settings)
    erase = Erasure(erasing, log_reader(erasing.database)).one
    reset = Reset(Session(database_of(settings)), partial(dump_log, folder=Path(settings.exports)))
    administration = _session_in_turn(settings)
    registry = registry_of(settings, administration)
    jobs = Jobs(JobStore(administration), partial(refusal, registry))
    return Shared(
        settings=settings,
        session=session,
        batcher=batched(Batches(session.run, on_batch).process, on_queue_depth=metrics.waiting),
        reports=Reports(reader.read, read_batched),
        caches=LogCaches(reader.database),
        manifest_of=manifests_of(registry_of(settings, reader)),
        compare=partial(comparison, reader.database),
        metrics=metrics,
        render=_together(read_batched, metrics.render),
        is_ready=_together(batched, _session(settings, _PROBE_PATIENCE_SECONDS).ping),
        reset=reset,
        empty=partial(batched(reset.empty_for_each).submit, None),
        log=LogAccess(log_reader(reading.database), reading.read, erase, read_batched, batched),
        catalog=Catalog(registry, aside, OneAtATime(run_here, settings.request_timeout)),
        jobs=jobs,
        live_jobs=LiveJobs(
            partial(live_figures, jobs, Promotions(administration), administration),
            lambda: metrics.directory,
            run_in_background,
        ),
        aside=aside,
        wanted=wanted,
    )


def _session_in_turn(settings: Settings) -> SessionInTurn:
    """One connection for all clients of the administration. While a promotion waits for the proof of its model, others
    use it."""
    turn = OneAtATime(runner(), settings.request_timeout)
    return SessionInTurn(database_of(settings, _PATIENCE_SECONDS), turn, _PATIENCE_SECONDS)


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


def _artifact(settings: Settings, wanted: Wanted) -> Artifact:
    """The champion of the registry; if there is none, or it cannot serve, the model of ARTIFACTS, which becomes the
    champion if there is none. Raises ArtifactError unless one is trusted and gives the outputs of its golden rows."""
    champion = load_champion(settings, wanted)
    if champion is not None:
        try:
            artifact = _proven(settings, champion)
        except ArtifactError as error:
            wanted.fail(champion.version, str(error))
        else:
            wanted.serve(artifact.version)
            note_other_artifacts(settings, artifact.version)
            return artifact
    content = read_content(settings.artifacts, settings.trust())
    artifact = _proven(settings, load_content(content, Path(settings.artifacts)))
    make_first_champion(settings, content, wanted)
    return artifact


def _proven(settings: Settings, artifact: Artifact) -> Artifact:
    for name, version, installed in artifact.other_versions:
        log_format.event(_log, logging.WARNING, "other-version", library=name, dumped_with=version, installed=installed)
    verify(artifact, compiled=settings.scorer == "compiled")
    return replace(artifact, training=None)  # which takes memory in each worker, and only a retraining reads


def _session(settings: Settings, patience: float = _PATIENCE_SECONDS) -> Session:
    return Session(database_of(settings, patience), patience)


def _together(batched: Batched, call: Callable[[], Any]) -> Callable[[], Any]:
    """The same function, called once for all callers that wait for it at the same time."""
    batcher = batched(lambda waiting: [call()] * len(waiting))
    return lambda: batcher.submit(None)
