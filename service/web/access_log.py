"""WSGI middleware that gives every request an id, common response headers, and one line in the log.

It costs less than Flask's hooks, and also sees responses that do not come from Flask."""

import logging
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, Protocol, TypeVar

from service.telemetry.log_format import event
from service.web.body_budget import BodyBudget, Held

_log = logging.getLogger("service")

_KEY = "service.request_info"
_ECHOED_ID = re.compile(r"[\w.:/@+=\-]{1,128}", re.ASCII)
_LISTED_IDS = 5
_TRACE_PARENT = re.compile("00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")


class RequestInfo:
    """What the log line needs besides the response: the `request_id`, the caller's observation ids, and the reason if
    the request is refused. Also what the request holds of the worker's budget, until its response is sent."""

    __slots__ = ("_budget", "_held", "observation_ids", "reason", "request_id")

    def __init__(self, request_id: str, budget: BodyBudget) -> None:
        self.request_id = request_id
        self.observation_ids: tuple[int | str, ...] = ()
        self.reason: str | None = None
        self._budget = budget
        self._held: Held | None = None

    def held(self) -> Held:
        """What the request holds of the budget. Most requests hold nothing and never ask."""
        self._held = self._held or Held(self._budget)
        return self._held

    def hold_answer(self, headers: list[tuple[str, str]]) -> None:
        """Gives back what the request holds beyond its answer, which has these headers."""
        if self._held is not None:
            self._held.hold_answer(sum(int(value) for name, value in headers if name == "Content-Length"))

    def release(self) -> None:
        """Gives back all that the request holds."""
        if self._held is not None:
            self._held.release()

    @staticmethod
    def of(environ: dict[str, Any]) -> "RequestInfo":
        """The info of the request with this WSGI environment."""
        info: RequestInfo = environ[_KEY]
        return info


class ServedApplication(Protocol):
    """A WSGI application, and the version of the model that it serves."""

    @property
    def version(self) -> str:
        """The version of the model."""

    @property
    def application(self) -> Any:
        """The WSGI application."""


Served = TypeVar("Served", bound=ServedApplication)


class Serving(Generic[Served]):
    """The application that new requests get. To assign another one is a swap."""

    __slots__ = ("model",)

    def __init__(self, model: Served) -> None:
        self.model = model


class AccessLogMiddleware:
    """Logs each request after its response is sent. Before that it calls `on_response` with path, method, status and
    seconds, and for a status of 400 or above `on_refusal` with the reason. All requests share the `budget`. `serving`
    holds the application; a request uses the one that it began with, also if another takes its place meanwhile."""

    def __init__(
        self,
        serving: Serving[Any],
        on_response: Callable[[str, str, str, float], None],
        on_refusal: Callable[[str], None],
        budget: BodyBudget,
    ) -> None:
        self._serving = serving
        self._on_response = on_response
        self._on_refusal = on_refusal
        self._budget = budget

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        given = environ.get("HTTP_X_REQUEST_ID")
        info = RequestInfo(given if given and _ECHOED_ID.fullmatch(given) else os.urandom(16).hex(), self._budget)
        environ[_KEY] = info
        model = self._serving.model
        exchange = _Exchange(environ, start_response, info, model.version)
        try:
            exchange.parts = model.application(environ, exchange.start)
        except BaseException:
            info.release()
            raise
        info.hold_answer(exchange.headers)
        status = exchange.status[:3]
        self._on_response(environ["PATH_INFO"], environ["REQUEST_METHOD"], status, time.perf_counter() - exchange.began)
        if status >= "400":
            self._on_refusal(info.reason or "internal-error")
        return exchange


class _Exchange:
    """One request and its response. The server closes it when it has sent the body `parts`."""

    __slots__ = ("_environ", "_info", "_model_version", "_start_response", "began", "headers", "parts", "status")

    def __init__(self, environ: dict[str, Any], start_response: Any, info: RequestInfo, model_version: str) -> None:
        self.began = time.perf_counter()
        self._environ = environ
        self._start_response = start_response
        self._info = info
        self._model_version = model_version
        self.status = "500"
        self.headers: list[tuple[str, str]] = []
        self.parts: Iterable[bytes] = ()

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        """WSGI's start_response, with the common headers added."""
        self.status = status
        self.headers = headers
        headers += (
            ("X-Request-ID", self._info.request_id),
            ("X-Model-Version", self._model_version),
            ("X-Content-Type-Options", "nosniff"),
            ("Cache-Control", "no-store"),
        )
        return self._start_response(status, headers, exc_info)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.parts)

    def close(self) -> None:
        """Closes the parts, gives back what the request held, and writes the log line."""
        try:
            if hasattr(self.parts, "close"):
                self.parts.close()
        finally:
            self._info.release()
        trace_id, parent_id = _trace(self._environ.get("HTTP_TRACEPARENT", ""))
        event(
            _log,
            logging.INFO,
            "request",
            method=self._environ["REQUEST_METHOD"],
            path=self._environ["PATH_INFO"],
            status=int(self.status[:3]),
            ms=(time.perf_counter() - self.began) * 1000,
            request_id=self._info.request_id,
            observation_id=_listed(self._info.observation_ids),
            model_version=self._model_version,
            reason=self._info.reason,
            trace_id=trace_id,
            parent_id=parent_id,
        )


def _trace(given: str) -> tuple[str | None, str | None]:
    """The trace id and parent span id of a traceparent header (W3C Trace Context, version 00)."""
    found = _TRACE_PARENT.fullmatch(given)
    return (found[1], found[2]) if found else (None, None)


def _listed(ids: tuple[int | str, ...]) -> str | None:
    """The ids of a request for its log line: at most the first few, and then how many there are."""
    if not ids:
        return None
    shown = ",".join(map(str, ids[:_LISTED_IDS]))
    return shown if len(ids) <= _LISTED_IDS else f"{shown},...({len(ids)})"
