"""Parses the heads that typical clients send, many times faster than gunicorn's parser and with the same result.

A head is plain if it is printable ASCII, its headers are all different, and none of them changes how the body is read
except Content-Length. All other heads, the invalid ones too, are left to gunicorn's parser. Only that parser refuses a
head."""

import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from gunicorn.http import wsgi
from gunicorn.http.errors import ConfigurationProblem
from gunicorn.http.parser import RequestParser

Environ = dict[str, Any]

_MAX_BYTES = 4096
_MAX_LENGTH_DIGITS = 15
_MAX_CACHED_LENGTH = 256  # a client must not fill the cache with long lines
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_PRINTABLE = re.compile(r"[ -~]*")
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^`|~-]+")  # a token without "_", which would be the same as "-" in WSGI
_LEFT_TO_GUNICORN = frozenset(("TRANSFER-ENCODING", "EXPECT", "UPGRADE"))
_CONNECTION_OPTIONS = {"HTTP/1.1": "keep-alive", "HTTP/1.0": "close"}  # the defaults
_WITHOUT_PREFIX = frozenset(("CONTENT_TYPE", "CONTENT_LENGTH"))
_PER_REQUEST = ("wsgi.input", "wsgi.early_hints", "gunicorn.socket", "REMOTE_PORT")


class Head(NamedTuple):
    """A parsed head: its WSGI environment, the bytes of its body, and whether the connection closes after it. The
    environment has no body, socket and port of the client yet."""

    environ: Environ
    length: int
    closes: bool


class Origin(NamedTuple):
    """What the heads of a connection have in common: a part of their environments, and the values by which trusted
    headers say that the client used HTTPS. A trusted proxy sets them."""

    environ: Environ
    https_values: Mapping[str, str]


def environ_of(message: Any, client: Any, peer: Any, listener: Any, config: Any) -> Environ:
    """What gunicorn makes of a message that it has parsed, without the values of one request only."""
    _, environ = wsgi.create(message, client, peer, listener, config)
    for name in _PER_REQUEST:
        environ.pop(name, None)
    environ["wsgi.multithread"] = True
    return environ  # type: ignore[no-any-return]


class PlainHeads:
    """Parses plain heads under a configuration of gunicorn. `max_bytes` is the length of the longest."""

    def __init__(self, config: Any) -> None:
        limits = (config.limit_request_line, config.limit_request_field_size)
        self.max_bytes = min((_MAX_BYTES, *(limit for limit in limits if limit > 0)))
        self._max_fields = config.limit_request_fields if config.limit_request_fields > 0 else _MAX_BYTES
        self._config = config
        self._environs: dict[Any, Environ | None] = {}
        self._all_are_trusted = "*" in config.forwarded_allow_ips
        self._trusted = [ip_network(address) for address in config.forwarded_allow_ips if address != "*"]
        values = {_environ_name(name): value for name, value in config.secure_scheme_headers.items()}
        self._https_values = {name: value for name, value in values.items() if name}

    def origin(self, peer: Any, listener: Any) -> Origin | None:
        """The origin of the heads of a connection, or None if gunicorn must parse them: if an address is that of a Unix
        socket, the proxy protocol comes before the heads, or the application is below a SCRIPT_NAME."""
        if not isinstance(peer, tuple) or not isinstance(listener, tuple):
            return None
        if listener not in self._environs:
            self._environs[listener] = self._common_environ(listener)
        common = self._environs[listener]
        if common is None:
            return None
        return Origin({**common, "REMOTE_ADDR": peer[0]}, self._https_values if self._trusts(peer[0]) else {})

    def _common_environ(self, listener: Any) -> Environ | None:
        """What gunicorn puts into the environment of every request, found by its answer to the shortest one."""
        parser = RequestParser(self._config, iter([b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"]), ("", 0))
        try:
            environ = environ_of(next(parser), None, ("", 0), listener, self._config)
        except ConfigurationProblem:  # "/" is not below SCRIPT_NAME
            return None
        del environ["HTTP_HOST"]
        return None if environ["SCRIPT_NAME"] or self._config.proxy_protocol != "off" else environ

    def _trusts(self, address: str) -> bool:
        """Whether gunicorn believes what a peer says about the client of its client."""
        try:
            found = ip_address(address)
        except ValueError:
            return self._all_are_trusted
        return self._all_are_trusted or any(found in network for network in self._trusted)

    def parse(self, head: bytes, origin: Origin) -> Head | None:
        """Parses a head with the empty line at its end, or returns None if it is not plain."""
        request_line, *lines = str(head, "latin-1").split("\r\n")[:-2]
        requested = _line(_request_line, request_line)
        if requested is None or len(lines) > self._max_fields:
            return None
        environ = origin.environ | requested
        for line in lines:
            field = _line(_field, line)
            if field is None or field[0] in environ:
                return None
            environ[field[0]] = field[1]
        return _framed(environ) if _add_scheme(environ, origin.https_values) else None


def _line(parse: Any, line: str) -> Any:
    """What a cached function makes of a line of a head. Most lines of a client are in each of its heads."""
    return parse(line) if len(line) <= _MAX_CACHED_LENGTH else parse.__wrapped__(line)


@lru_cache(1024)
def _field(line: str) -> tuple[str, str] | None:
    """The name in the environment and the value of a header, if it is plain."""
    name, colon, value = line.partition(":")
    key = _environ_name(name)
    return (key, value.strip(" ")) if key and colon and _PRINTABLE.fullmatch(value) else None


def _environ_name(name: str) -> str:
    """The name of a header in the environment. It is empty if the head is not plain with it."""
    upper = name.upper()
    if not _NAME.fullmatch(name) or upper in _LEFT_TO_GUNICORN:
        return ""
    key = upper.replace("-", "_")
    return key if key in _WITHOUT_PREFIX else f"HTTP_{key}"


@lru_cache(1024)
def _request_line(line: str) -> Environ | None:
    """What the request line says, if it is plain."""
    method, _, rest = line.partition(" ")
    target, _, version = rest.partition(" ")
    if method not in _METHODS or version not in _CONNECTION_OPTIONS or not _PRINTABLE.fullmatch(target):
        return None
    if not target.startswith("/") or target.startswith("//") or "#" in target:
        return None
    path, _, query = target.partition("?")
    return {
        "REQUEST_METHOD": method,
        "RAW_URI": target,
        "QUERY_STRING": query,
        "SERVER_PROTOCOL": version,
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1") if "%" in path else path,
    }


def _add_scheme(environ: Environ, https_values: Mapping[str, str]) -> bool:
    """Adds the scheme that a trusted header names, if at most one does."""
    if https_values.keys().isdisjoint(environ):
        return True
    found = [environ[name] == value for name, value in https_values.items() if name in environ]
    environ["wsgi.url_scheme"] = "https" if found[0] else "http"
    return len(found) == 1


def _framed(environ: Environ) -> Head | None:
    """The head of an environment, if its framing is plain."""
    version = environ["SERVER_PROTOCOL"]
    length = environ.get("CONTENT_LENGTH", "0")
    option = environ.get("HTTP_CONNECTION", _CONNECTION_OPTIONS[version]).lower()
    if option not in ("keep-alive", "close") or ("HTTP_HOST" not in environ and version == "HTTP/1.1"):
        return None
    if not length.isdecimal() or len(length) > _MAX_LENGTH_DIGITS:
        return None
    return Head(environ, int(length), option == "close")
