"""The body of a request: JSON, as it is, and read no further than it is taken."""

from typing import Any

from flask import Request

from service.errors import BodyTooLarge, MalformedBody, UnsupportedBody
from service.web.payload import decode

_WHITESPACE = b" \t\r\n"


class JsonBody:
    """Reads bodies: an object of at most `max_object_bytes`, anything of at most `max_bytes`."""

    def __init__(self, max_object_bytes: int, max_bytes: int) -> None:
        self._max_object_bytes = max_object_bytes
        self._max_bytes = max_bytes

    def of(self, request: Request) -> Any:
        """The JSON value of a request's body. Raises UnsupportedBody, BodyTooLarge and MalformedBody."""
        environ = request.environ
        if environ.get("CONTENT_TYPE") != "application/json":
            _require_json(request)
        if "HTTP_CONTENT_ENCODING" in environ:
            raise UnsupportedBody("Send the body without a Content-Encoding.")
        return decode(self._bytes(environ))

    def of_optional(self, request: Request, default: Any) -> Any:
        """The same, or the default for a request without a body."""
        environ = request.environ
        is_empty = environ.get("CONTENT_LENGTH", "") in ("", "0") and "HTTP_TRANSFER_ENCODING" not in environ
        return default if is_empty else self.of(request)

    def _bytes(self, environ: dict[str, Any]) -> bytes:
        given = environ.get("CONTENT_LENGTH", "")
        # Without a length the body ends where the server says so, if it does.
        longest = self._max_bytes + 1 if environ.get("wsgi.input_terminated") else 0
        length = int(given) if given.isdecimal() else longest
        if given and length > self._max_bytes:
            raise BodyTooLarge(f"The body has {length} bytes; it may have {self._max_bytes}.")
        body: bytes = environ["wsgi.input"].read(min(length, self._max_object_bytes + 1))
        if len(body) > self._max_object_bytes:
            body = self._long(environ, body, length)
        if len(body) < length <= self._max_bytes:
            raise MalformedBody(f"The body ended after {len(body)} of {length} bytes.")
        return body

    def _long(self, environ: dict[str, Any], beginning: bytes, length: int) -> bytes:
        """The whole of a body that only an array may have, by its beginning."""
        if not beginning.lstrip(_WHITESPACE).startswith(b"["):
            raise BodyTooLarge(f"The body has more than the {self._max_object_bytes} bytes that an object may have.")
        body: bytes = beginning + environ["wsgi.input"].read(length - len(beginning))
        if len(body) > self._max_bytes:
            raise BodyTooLarge(f"The body has more than {self._max_bytes} bytes.")
        return body


def _require_json(request: Request) -> None:
    if request.mimetype != "application/json":
        raise UnsupportedBody("Send the header Content-Type: application/json.")
    if request.mimetype_params.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        raise UnsupportedBody("Send JSON in UTF-8.")
