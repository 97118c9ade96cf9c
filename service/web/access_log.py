"""Around every request: its id, the headers that every answer has, and its one line in the log.

This is WSGI, below Flask: it costs a fraction of what Flask's own hooks do, and sees every answer there is."""

import logging
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from service.telemetry.log_format import event

_log = logging.getLogger("service")

_KEY = "service.note"
_ECHOED_ID = re.compile(r"[\w.:/@+=\-]{1,128}", re.ASCII)
_LISTED_IDS = 5
_TRACE_PARENT = re.compile("00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")
_NO_TRACE = (None, None)


class RequestInfo:
    """What is known of a request beside its answer: its `request_id`, and for the log the caller's ids and the reason
    of a refusal."""

    __slots__ = ("observation_ids", "reason", "request_id")

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.observation_ids: tuple[int | str, ...] = ()
        self.reason: str | None = None

    @staticmethod
    def of(environ: dict[str, Any]) -> "RequestInfo":
        """The note of the request with this WSGI environment."""
        note: RequestInfo = environ[_KEY]
        return note


class AccessLogMiddleware:
    """A WSGI application around another. The line is written when the answer has left; before it leaves, `answered` is
    told path, method, status and seconds, and `refused` the reason of one of 400 or above."""

    def __init__(
        self,
        application: Any,
        model_version: str,
        answered: Callable[[str, str, str, float], None],
        refused: Callable[[str], None],
    ) -> None:
        self._application = application
        self._model_version = model_version
        self._answered = answered
        self._refused = refused

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        given = environ.get("HTTP_X_REQUEST_ID")
        note = RequestInfo(given if given and _ECHOED_ID.fullmatch(given) else os.urandom(16).hex())
        environ[_KEY] = note
        exchange = _Exchange(environ, start_response, note, self._model_version)
        exchange.parts = self._application(environ, exchange.start)
        status = exchange.status[:3]
        self._answered(environ["PATH_INFO"], environ["REQUEST_METHOD"], status, time.perf_counter() - exchange.began)
        if status >= "400":
            self._refused(note.reason or "internal-error")
        return exchange


class _Exchange:
    """One request and its answer: the parts of its body, to be closed when they are sent."""

    __slots__ = ("_environ", "_model_version", "_note", "_start_response", "began", "parts", "status")

    def __init__(self, environ: dict[str, Any], start_response: Any, note: RequestInfo, model_version: str) -> None:
        self.began = time.perf_counter()
        self._environ = environ
        self._start_response = start_response
        self._note = note
        self._model_version = model_version
        self.status = "500"
        self.parts: Iterable[bytes] = ()

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        """WSGI's start_response, with the headers that every answer has."""
        self.status = status
        headers += (
            ("X-Request-ID", self._note.request_id),
            ("X-Model-Version", self._model_version),
            ("X-Content-Type-Options", "nosniff"),
            ("Cache-Control", "no-store"),
        )
        return self._start_response(status, headers, exc_info)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.parts)

    def close(self) -> None:
        """Closes the parts and writes the line."""
        if hasattr(self.parts, "close"):
            self.parts.close()
        given = self._environ.get("HTTP_TRACEPARENT")
        trace_id, parent_id = _trace(given) if given else _NO_TRACE
        event(
            _log,
            logging.INFO,
            "request",
            method=self._environ["REQUEST_METHOD"],
            path=self._environ["PATH_INFO"],
            status=int(self.status[:3]),
            ms=(time.perf_counter() - self.began) * 1000,
            request_id=self._note.request_id,
            observation_id=_listed(self._note.observation_ids),
            model_version=self._model_version,
            reason=self._note.reason,
            trace_id=trace_id,
            parent_id=parent_id,
        )


def _trace(given: str) -> tuple[str | None, str | None]:
    """The trace and the span that a request comes from, by the header traceparent (W3C Trace Context, version 00)."""
    found = _TRACE_PARENT.fullmatch(given)
    return (found[1], found[2]) if found else _NO_TRACE


def _listed(ids: tuple[int | str, ...]) -> str | None:
    """The ids of a request for its log line; of many the first few and their number."""
    if not ids:
        return None
    shown = ",".join(map(str, ids[:_LISTED_IDS]))
    return shown if len(ids) <= _LISTED_IDS else f"{shown},...({len(ids)})"
