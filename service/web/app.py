"""Flask reduced to what an API needs: no sessions, no signals, no URL building, and responses that are final when a
resource returns them. This keeps the cost of a request low."""

from collections.abc import Callable
from typing import Any

from flask import Flask, Request, Response, has_app_context
from flask.ctx import AppContext
from flask.sessions import NullSession, SessionInterface
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import Map, MapAdapter

_MAX_CACHED_ROUTES = 256


class Application(Flask):
    """A Flask application whose views return responses or raise; `answer_error` turns every exception into a response.

    Flask's before, after and teardown functions and its error handlers are not called. Code for every request belongs
    in WSGI middleware around this application."""

    def __init__(self, name: str, answer_error: Callable[[Exception], Response]) -> None:
        super().__init__(name, static_folder=None)
        self._answer_error = answer_error
        self.session_interface = _NoSessions()
        self.url_map.strict_slashes = False
        self.url_map.merge_slashes = False  # merging redirects with an HTML page
        self._cache: dict[tuple[str, str], Any] = {}

    def wsgi_app(self, environ: dict[str, Any], start_response: Any) -> Any:
        """The application without its middleware."""
        if not has_app_context():
            # It holds no request data, so it stays for the next requests of this greenlet or thread.
            self.app_context().push()
        context = self.request_context(environ)
        context.push()
        try:
            return self._response(context.request)(environ, start_response)
        finally:
            context.pop(None)

    def _response(self, request: Request) -> Response:
        """The response of the resource, or of `answer_error`."""
        try:
            if request.routing_exception is not None:
                raise request.routing_exception
            assert request.url_rule is not None
            result: Any = self.view_functions[request.url_rule.endpoint](**(request.view_args or {}))
            return result if isinstance(result, Response) else self.make_response(result)
        except Exception as error:  # noqa: BLE001 - every exception becomes a response
            return self._answer_error(error)

    def route_of(self, path: str) -> str | None:
        """The route of a path of a WSGI environment, for any method; None for an unknown path."""
        routed = "/" + path.encode("latin-1").decode(errors="replace").lstrip("/")
        adapter = self.url_map.bind("")
        try:
            try:
                rule, _ = adapter.match(routed, "GET", return_rule=True)
            except MethodNotAllowed as error:
                (method, *_) = error.valid_methods or ("GET",)
                rule, _ = adapter.match(routed, method, return_rule=True)
        except HTTPException:
            return None
        return rule.rule

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Finds the route of a request, without host, scheme or query."""
        if request is None:
            return None
        return _Routes(self.url_map, request.path, request.method, self._cache)

    # Flask 3.2 wants a first parameter of this type; Flask 3.1 passes an exception or None.
    def do_teardown_request(self, ctx: "AppContext", *args: Any) -> None:  # type: ignore[override]
        """Does nothing."""

    def ensure_sync(self, func: Any) -> Any:
        """Returns the function unchanged: no view is a coroutine."""
        return func


class _Routes(MapAdapter):
    """Finds the route of one path and method, and caches it."""

    def __init__(self, url_map: Map, path: str, method: str, cache: dict[tuple[str, str], Any]) -> None:
        super().__init__(url_map, "", "/", "", "http", path, method)
        self._cache = cache
        self._key = (path, method)

    def match(self, *args: Any, **kwargs: Any) -> Any:
        found = self._cache.get(self._key)
        if found is None:
            found = super().match(*args, **kwargs)
            if not found[1] and len(self._cache) < _MAX_CACHED_ROUTES:
                self._cache[self._key] = found
        return found


class _NoSessions(SessionInterface):
    def __init__(self) -> None:
        self._none = NullSession()

    def open_session(self, app: Flask, request: Request) -> NullSession:
        return self._none
