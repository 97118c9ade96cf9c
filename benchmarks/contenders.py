"""Who is measured: how each is started, what it is asked and where in its answer the probability stands."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.passengers import PASSENGER, PROBA, PROJECT, Template, prediction
from benchmarks.venvs import DEPLOYED, python_of

WORKERS = 2
TRACEPARENT = ", traceparent"  # ends the name of a contender whose requests have a traceparent

Proba = Callable[[Any], float]
Variables = Callable[[Path], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Contender:
    """A server to measure. In `command`, `{port}` stands for the port. `variables` makes its environment from the
    empty folder that it runs in, so that every start has a new log; PORT is always set. It answers `observation` with
    the probability `expected`. With `traceparent`, each request of a load has a traceparent of its own."""

    name: str
    command: tuple[str, ...]
    variables: Variables
    folder: Path | None = None
    path: str = "/predict"
    template: Template = prediction
    proba: Proba = field(default=lambda answer: float(answer["proba"]))
    observation: dict[str, Any] = field(default_factory=lambda: PASSENGER)
    expected: float = PROBA
    python: str = sys.executable
    traceparent: bool = False


@dataclass(frozen=True, slots=True)
class Model:
    """The folder of an artifact, and what its model answers for the README's passenger."""

    artifacts: Path = PROJECT / "artifacts"
    expected: float = PROBA

    @property
    def pipeline(self) -> str:
        return str(self.artifacts / "pipeline.joblib")


def service(
    model: Model,
    database_url: Callable[[Path], str],
    name: str,
    scorer: str | None = None,
    variables: Mapping[str, str] | None = None,
) -> Contender:
    """This service as it is deployed, with the libraries of requirements.txt."""
    fixed = {"ARTIFACTS": str(model.artifacts), "WEB_CONCURRENCY": str(WORKERS), **(variables or {})}
    if scorer is not None:
        fixed["SCORER"] = scorer
    python = python_of(DEPLOYED)
    return Contender(
        name,
        (python, "-m", "gunicorn", "app:app"),
        lambda folder: {**fixed, "DATABASE_URL": database_url(folder)},
        folder=PROJECT,
        expected=model.expected,
        python=python,
    )


def with_traceparent(contender: Contender) -> Contender:
    """The same contender, asked with a traceparent of its own in each request."""
    return replace(contender, name=f"{contender.name}{TRACEPARENT}", traceparent=True)


def sqlite_url(folder: Path) -> str:
    """A new SQLite log."""
    return f"sqlite:///{folder / 'log.db'}"


def naive(model: Model) -> Contender:
    """A pandas row, predict_proba and one insert a request, under gunicorn's sync workers."""
    return Contender(
        "naive",
        _gunicorn("benchmarks.apps.naive:app", "--worker-class=sync"),
        lambda folder: {"MODEL": model.pipeline, "DATABASE": str(folder / "naive.db")},
        expected=model.expected,
    )


def fastapi(model: Model, python: str) -> Contender:
    """The same with FastAPI, storing nothing."""
    return Contender(
        "fastapi",
        uvicorn(python, "benchmarks.apps.fastapi_naive:app"),
        lambda _: {"MODEL": model.pipeline},
        expected=model.expected,
        python=python,
    )


def constants() -> list[Contender]:
    """A constant answer by Flask-RESTful under each of gunicorn's worker classes that keep connections open; under the
    gevent worker with a traceparent too."""
    workers = {"constant, gevent": ["--worker-class=gevent"], "constant, gthread": ["--threads=16"]}
    gevent, gthread = (
        Contender(name, _gunicorn("benchmarks.apps.constant:app", "--keep-alive=95", *options), lambda _: {})
        for name, options in workers.items()
    )
    return [gevent, with_traceparent(gevent), gthread]


def uvicorn(python: str, app: str) -> tuple[str, ...]:
    """The command of a FastAPI application."""
    options = ("--host=127.0.0.1", "--port={port}", f"--workers={WORKERS}", "--no-access-log")
    return (python, "-m", "uvicorn", app, *options)


def _gunicorn(app: str, *options: str) -> tuple[str, ...]:
    bind = ("--bind=127.0.0.1:{port}", f"--workers={WORKERS}", "--no-control-socket")
    return (python_of(DEPLOYED), "-m", "gunicorn", app, *bind, *options)
