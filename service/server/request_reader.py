"""Reads the requests of a connection into WSGI environments: plain heads with `plain_heads`, all others with gunicorn's
own parser."""

import io
from types import SimpleNamespace
from typing import Any, NamedTuple

import gevent
from gunicorn.http.body import Body, LengthReader
from gunicorn.http.errors import InvalidHeader, NoMoreData, ParseException, UnsupportedTransferCoding
from gunicorn.http.parser import RequestParser

from service.errors import MalformedBody, SlowBody
from service.server.plain_heads import Environ, PlainHeads, environ_of

_END_OF_HEAD = b"\r\n\r\n"
_STEP_BYTES = 256 * 1024
_LONG_REST_BYTES = 64 * 1024
_MAX_SKIPPED_BYTES = 64 * 1024 * 1024


class Request(NamedTuple):
    """A request: its WSGI environment, and what the framing of its response depends on."""

    environ: Environ
    is_head: bool
    is_http_1_1: bool
    closes: bool

    @property
    def may_send_more(self) -> bool:
        """Whether the client may still send a part of the body."""
        return isinstance(self.environ["wsgi.input"], StreamedBody)

    @property
    def is_broken(self) -> bool:
        """Whether reading the body failed, or so much of it is unread that skipping it would block other requests. The
        connection cannot be used again."""
        body = self.environ["wsgi.input"]
        return isinstance(body, StreamedBody) and (body.is_broken or body.has_long_rest)


class RequestReader:
    """Reads the requests of one connection, in order. A read of a body takes `timeout` seconds at most."""

    def __init__(self, config: Any, client: Any, peer: Any, listener: Any, heads: PlainHeads, timeout: float) -> None:
        self._timeout = timeout
        self._parser = RequestParser(config, client, peer)
        self._config = config
        self._client = client
        self._peer = peer
        self._listener = listener
        self._heads = heads
        self._origin = heads.origin(peer, listener)
        self._port = str(peer[1]) if isinstance(peer, tuple) else ""

    def read(self) -> Request | None:
        """The next request, or None at the end of the input. It skips the unread rest of the last body; if that is over
        64 MiB, the input ends. Raises the errors of gunicorn's parser."""
        if not self._parser.finish_body(max_bytes=_MAX_SKIPPED_BYTES):
            return None
        unreader = self._parser.unreader
        if unreader.buf.tell():
            gevent.sleep(0)  # the client sent requests together: other clients get their turn between two of them
        data = unreader.read()
        if not data:
            return None
        found = data.find(_END_OF_HEAD, 0, self._heads.max_bytes)
        end = found + len(_END_OF_HEAD)
        head = self._heads.parse(data[:end], self._origin) if found > 0 and self._origin is not None else None
        if head is None:
            unreader.unread(data)
            return self._parse()
        stop = end + head.length
        is_whole = stop <= len(data)
        rest = data[stop:] if is_whole else data[end:]
        if rest:
            unreader.unread(rest)
        if is_whole:
            self._parser.mesg = None
            return self._request(head.environ, io.BytesIO(data[end:stop]), head.closes)
        body = Body(LengthReader(unreader, head.length))
        self._parser.mesg = SimpleNamespace(body=body)
        return self._request(head.environ, StreamedBody(body, self._timeout), head.closes)

    def _parse(self) -> Request | None:
        """Parses the next request with gunicorn."""
        self._parser.mesg = None
        try:
            message = next(self._parser)
        except StopIteration:
            return None
        closes = _closes(message)
        _require_clear_framing(message)
        message.proxy_protocol_info = {}
        environ = environ_of(message, self._client, self._peer, self._listener, self._config)
        return self._request(environ, StreamedBody(message.body, self._timeout), closes)

    def _request(self, environ: Environ, body: Any, closes: bool) -> Request:
        environ["wsgi.input"] = body
        environ["gunicorn.socket"] = self._client
        environ["REMOTE_PORT"] = self._port
        is_head = environ["REQUEST_METHOD"] == "HEAD"
        return Request(environ, is_head, environ["SERVER_PROTOCOL"] == "HTTP/1.1", closes)


def _require_clear_framing(message: Any) -> None:
    """Refuses what gunicorn accepts: HTTP/1.1 without Host, and codings that the body would have to be decoded from."""
    names = {name for name, _ in message.headers}
    if message.version >= (1, 1) and "HOST" not in names:
        raise InvalidHeader("HOST")
    for name, value in message.headers:
        if name == "TRANSFER-ENCODING" and value.lower() != "chunked":
            raise UnsupportedTransferCoding(value)


def _closes(message: Any) -> bool:
    """Whether the connection closes after a request. gunicorn reads only the first Connection header, and only as one
    option. Raises InvalidHeader if the options contradict each other."""
    values = [value for name, value in message.headers if name == "CONNECTION"]
    options = {option.strip(" \t").lower() for value in values for option in value.split(",")}
    if {"close", "keep-alive"} <= options:
        raise InvalidHeader("CONNECTION")
    return "close" in options or bool(message.should_close())


class StreamedBody:
    """A body that may not have arrived yet. Each read takes `seconds` at most, even if bytes arrive one at a time."""

    __slots__ = ("_body", "_limit", "_reader", "_seconds", "is_broken")

    def __init__(self, body: Any, seconds: float) -> None:
        self._body = body
        self._limit: gevent.Timeout | None = None
        self._reader: Any = None
        self._seconds = seconds
        self.is_broken = False

    def expire(self) -> None:
        """Ends a read that waits for the client, as if its time were over."""
        gevent.get_hub().loop.run_callback(self._end_read)

    def _end_read(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.throw(self._limit)

    @property
    def has_long_rest(self) -> bool:
        """Whether many bytes are unread, or an unknown number of them."""
        reader = self._body.reader
        return getattr(reader, "length", 0) > _LONG_REST_BYTES or getattr(reader, "parser", None) is not None

    def read(self, size: int = -1) -> bytes:
        """Reads `size` bytes, or the rest. Raises SlowBody, and MalformedBody for invalid chunks and for a client that
        disconnects."""
        limit = self._limit = gevent.Timeout(self._seconds)
        self._reader = gevent.getcurrent()
        try:
            with limit:
                return self._read(size)
        except gevent.Timeout as timeout:
            if timeout is not limit:
                raise
            self.is_broken = True
            late = f"within {self._seconds:g} seconds" if self._reader is not None else "in time"
            raise SlowBody(f"The body did not arrive {late}.") from None
        except (ParseException, NoMoreData, ConnectionError):
            self.is_broken = True
            raise MalformedBody("The body ended too soon, or its chunks are invalid.") from None
        finally:
            self._reader = None

    def _read(self, size: int) -> bytes:
        if size <= _STEP_BYTES:
            return self._body.read(size)  # type: ignore[no-any-return]
        data = io.BytesIO()
        while size > 0:
            part = self._body.read(min(size, _STEP_BYTES))
            if not part:
                break
            data.write(part)
            size -= len(part)
            gevent.sleep(0)  # lets other greenlets run, even if the client sends without a break
        return data.getvalue()
