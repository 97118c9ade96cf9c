"""Reads the requests of a connection into WSGI environments, with gunicorn's own parser.

Clients send the same head again and again, so parsed heads are cached: a head with the same bytes from the same peer
costs one lookup."""

import io
from typing import Any, NamedTuple

import gevent
from gunicorn.http import wsgi
from gunicorn.http.errors import NoMoreData, ParseException
from gunicorn.http.parser import RequestParser

from service.errors import MalformedBody, SlowBody

Environ = dict[str, Any]

_END_OF_HEAD = b"\r\n\r\n"
_LONGEST_KNOWN_HEAD = 2048
_MOST_KNOWN_HEADS = 1024
_MOST_SKIPPED = 64 * 1024 * 1024
_OF_ONE_REQUEST = ("wsgi.input", "wsgi.early_hints", "gunicorn.socket", "REMOTE_PORT")


class Request(NamedTuple):
    """A request that has arrived: its WSGI environment, and what decides how its answer is framed."""

    environ: Environ
    is_head: bool
    speaks_1_1: bool
    closes: bool

    @property
    def may_bring_more(self) -> bool:
        """Whether some of its body may still be on its way."""
        return isinstance(self.environ["wsgi.input"], _ArrivingBody)

    @property
    def is_lost(self) -> bool:
        """Whether the body broke off, so that nobody knows where the next request begins."""
        body = self.environ["wsgi.input"]
        return isinstance(body, _ArrivingBody) and body.is_lost


class _Head(NamedTuple):
    """What gunicorn made of a head, to be used again."""

    environ: Environ
    length: int
    closes: bool


class HeadCache(dict[Any, _Head]):
    """The heads that a worker has seen; all are forgotten when there are too many."""

    def put(self, key: Any, head: _Head) -> None:
        """Keeps a head."""
        if len(self) >= _MOST_KNOWN_HEADS:
            self.clear()
        self[key] = head


class RequestReader:
    """The requests of one connection, in order."""

    def __init__(
        self, config: Any, client: Any, peer: Any, listener: Any, heads: HeadCache, body_seconds: float
    ) -> None:
        self._body_seconds = body_seconds
        self._parser = RequestParser(config, client, peer)
        self._config = config
        self._client = client
        self._peer = peer
        self._listener = listener
        self._heads = heads
        self._origin = (peer[0] if isinstance(peer, tuple) else "", listener)
        self._port = str(peer[1]) if isinstance(peer, tuple) else ""

    def read(self) -> Request | None:
        """The next request, or None at the end of the input. What a request has left unread of its body is skipped,
        unless it is so much that the connection ends with it. Raises what gunicorn's parser raises."""
        if not self._parser.finish_body(max_bytes=_MOST_SKIPPED):
            return None
        unreader = self._parser.unreader
        data = unreader.read()
        if not data:
            return None
        found = data.find(_END_OF_HEAD, 0, _LONGEST_KNOWN_HEAD)
        end = found + len(_END_OF_HEAD) if found > 0 else 0
        known = self._heads.get((self._origin, data[:end])) if end else None
        if known is None or len(data) - end < known.length:
            unreader.unread(data)
            return self._parsed(data[:end])
        self._parser.mesg = None
        stop = end + known.length
        if stop < len(data):
            unreader.unread(data[stop:])
        return self._request(known.environ.copy(), io.BytesIO(data[end:stop]), known.closes)

    def _parsed(self, head: bytes) -> Request | None:
        """The next request by gunicorn's parser; its head is kept where another of the same bytes means the same."""
        self._parser.mesg = None
        try:
            message = next(self._parser)
        except StopIteration:
            return None
        message.proxy_protocol_info = {}
        _, environ = wsgi.create(message, self._client, self._peer, self._listener, self._config)
        for name in _OF_ONE_REQUEST:
            environ.pop(name, None)
        environ["wsgi.multithread"] = True
        length = environ.get("CONTENT_LENGTH", "0")
        closes = message.should_close()
        is_plain = "HTTP_TRANSFER_ENCODING" not in environ and "HTTP_EXPECT" not in environ
        if head and is_plain and length.isdecimal():
            self._heads.put((self._origin, head), _Head(environ.copy(), int(length), closes))
        return self._request(environ, _ArrivingBody(message.body, self._body_seconds), closes)

    def _request(self, environ: Environ, body: Any, closes: bool) -> Request:
        environ["wsgi.input"] = body
        environ["gunicorn.socket"] = self._client
        environ["REMOTE_PORT"] = self._port
        is_head = environ["REQUEST_METHOD"] == "HEAD"
        return Request(environ, is_head, environ["SERVER_PROTOCOL"] == "HTTP/1.1", closes)


class _ArrivingBody:
    """A body that may have to be waited for: for `seconds` at most, however little of it comes at a time."""

    __slots__ = ("_body", "_seconds", "is_lost")

    def __init__(self, body: Any, seconds: float) -> None:
        self._body = body
        self._seconds = seconds
        self.is_lost = False

    def read(self, size: int = -1) -> bytes:
        """So many bytes of the body, or all that is left. Raises SlowBody, and MalformedBody for chunks that are
        none and for a sender that left."""
        late = gevent.Timeout(self._seconds)
        try:
            with late:
                data: bytes = self._body.read(size)
                return data
        except gevent.Timeout as timeout:
            if timeout is not late:
                raise
            self.is_lost = True
            raise SlowBody(f"The body did not arrive within {self._seconds:g} seconds.") from None
        except (ParseException, NoMoreData, ConnectionError):
            self.is_lost = True
            raise MalformedBody("The body ended too soon, or its chunks are not framed as chunks are.") from None
