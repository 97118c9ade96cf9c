"""Flask without what an API does not use: no session, no signal, no URL made from a route, and an answer that is
finished when a resource returns it. What a request costs below the resources is decided here."""

from typing import Any

from flask import Flask, Request, Response, has_app_context
from flask.sessions import NullSession, SessionInterface
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import Map, MapAdapter

_MOST_FOUND = 256


class Application(Flask):
    """A Flask application whose views return finished responses.

    Functions to be called before, after or at the end of a request are not called; what belongs around every request
    is WSGI around this application."""

    def __init__(self, name: str) -> None:
        super().__init__(name, static_folder=None)
        self.session_interface = _NoSessions()
        self.url_map.strict_slashes = False
        self.url_map.merge_slashes = False  # it would redirect, with a page of HTML
        self._found: dict[tuple[str, str], Any] = {}

    def wsgi_app(self, environ: dict[str, Any], start_response: Any) -> Any:
        """The application below its middleware."""
        if not has_app_context():
            # It holds nothing of a request, and stays for the others that this greenlet or thread serves.
            self.app_context().push()
        context = self.request_context(environ)
        context.push()
        try:
            return self._response(context.request)(environ, start_response)
        finally:
            context.pop(None)

    def _response(self, request: Request) -> Response:
        """The answer of the resource, or of the error handler."""
        try:
            if request.routing_exception is not None:
                raise request.routing_exception
            assert request.url_rule is not None
            answer: Any = self.view_functions[request.url_rule.endpoint](**(request.view_args or {}))
        except Exception as error:  # noqa: BLE001 - the handlers know what to make of it
            answer = self.handle_user_exception(error)
        response: Response = answer if isinstance(answer, Response) else self.make_response(answer)
        return response

    def route_of(self, path: str) -> str | None:
        """The route that a path in a WSGI environment leads to, whatever the method; None where there is none."""
        asked = "/" + path.encode("latin-1").decode(errors="replace").lstrip("/")
        adapter = self.url_map.bind("")
        try:
            try:
                rule, _ = adapter.match(asked, "GET", return_rule=True)
            except MethodNotAllowed as error:
                (method, *_) = error.valid_methods or ("GET",)
                rule, _ = adapter.match(asked, method, return_rule=True)
        except HTTPException:
            return None
        return rule.rule

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """What finds the route of a request. No host, scheme or query is needed for it."""
        if request is None:
            return None
        return _Routes(self.url_map, request.path, request.method, self._found)

    def do_teardown_request(self, *args: Any) -> None:
        """Nothing."""

    def ensure_sync(self, func: Any) -> Any:
        """The function itself; none is a coroutine."""
        return func


class _Routes(MapAdapter):
    """Finds the route of one path and method, at once where it was found before."""

    def __init__(self, url_map: Map, path: str, method: str, found: dict[tuple[str, str], Any]) -> None:
        super().__init__(url_map, "", "/", "", "http", path, method)
        self._found = found
        self._asked = (path, method)

    def match(self, *args: Any, **kwargs: Any) -> Any:
        found = self._found.get(self._asked)
        if found is None:
            found = super().match(*args, **kwargs)
            if not found[1] and len(self._found) < _MOST_FOUND:
                self._found[self._asked] = found
        return found


class _NoSessions(SessionInterface):
    def __init__(self) -> None:
        self._none = NullSession()

    def open_session(self, app: Flask, request: Request) -> NullSession:
        return self._none
