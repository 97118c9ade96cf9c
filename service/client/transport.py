"""Sends a request until it is answered: over a pool of connections, with the key, again after a failed attempt."""

import json
import re
from dataclasses import dataclass, replace
from ssl import SSLCertVerificationError
from typing import Any

from urllib3 import BaseHTTPResponse, Timeout, connection_from_url
from urllib3.exceptions import (
    ClosedPoolError,
    ConnectTimeoutError,
    DecodeError,
    HostChangedError,
    HTTPError,
    LocationParseError,
    LocationValueError,
    NewConnectionError,
    ProtocolError,
    SSLError,
    TimeoutError,
)
from urllib3.util import Url, parse_url

from service.client.errors import InvalidAddress, NoAnswer
from service.client.retries import REPEATED_STATUSES, Patience, retry_after_seconds

_CONNECTIONS = 64  # kept open; more threads at once open further ones for single requests
_NOT_SENT = (NewConnectionError, ConnectTimeoutError, LocationValueError, HostChangedError)
_PASSING = (NewConnectionError, TimeoutError, ProtocolError, SSLError, DecodeError)  # the next attempt may succeed


@dataclass(frozen=True, slots=True)
class Reply:
    """A response: the status, the parsed JSON body (None if it is not JSON), and the headers that the client reads.
    `may_be_stored` says whether an earlier attempt of the same request may have been stored."""

    status: int
    body: Any
    date: str | None
    location: str | None
    replayed: bool
    may_be_stored: bool = False


class Transport:
    """Sends JSON to an http or https URL. Threads may share it. It ignores proxy variables and .netrc, and follows no
    redirects. Raises InvalidAddress for a URL or key that cannot be used."""

    def __init__(self, url: str, key: str, timeout: float, patience: float) -> None:
        if not (key.isascii() and key.isprintable()):
            raise InvalidAddress("The API key contains invalid characters; use visible ASCII.")
        parts = _parts(url)
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
        self._pool = connection_from_url(url, headers=headers, maxsize=_CONNECTIONS)
        self._path = (parts.path or "").rstrip("/")
        self._url = url
        self._timeout = timeout
        self._patience = patience

    def close(self) -> None:
        """Closes the connections."""
        self._pool.close()

    def request(self, method: str, path: str, body: bytes | None = None) -> Reply:
        """The first response that a repetition would not change, whatever its status. Raises NoAnswer if there is none
        in time, and ValueError after `close`."""
        patience = Patience(self._patience, self._timeout)
        may_be_stored = False
        while True:
            outcome = self._attempt(method, path, body, patience.timeout())
            if isinstance(outcome, Reply):
                return replace(outcome, may_be_stored=may_be_stored)
            may_be_stored |= outcome.may_be_stored
            if not outcome.may_pass:
                raise NoAnswer(f"{self._url}{path} cannot be asked: {outcome.reason}", may_be_stored)
            if not patience.may_repeat(outcome.retry_after):
                where = f"{self._url} did not answer within {self._patience:g} seconds"
                raise NoAnswer(f"{where}: {outcome.reason}", may_be_stored)

    def _attempt(self, method: str, path: str, body: bytes | None, seconds: float) -> "Reply | _Failure":
        timeout = Timeout(total=seconds)
        try:
            response = self._pool.urlopen(
                method, self._path + path, body=body, retries=False, redirect=False, timeout=timeout
            )
        except ClosedPoolError:
            raise ValueError("The client is closed.") from None
        except HTTPError as error:
            was_sent = not (isinstance(error, _NOT_SENT) or _is_untrusted(error))
            return _Failure(str(error), isinstance(error, _PASSING) and not _is_untrusted(error), was_sent)
        return _failure(response) if response.status in REPEATED_STATUSES else _reply(response)


@dataclass(frozen=True, slots=True)
class _Failure:
    """An attempt without an answer: why, whether the next one may have one, whether the request may have been stored,
    and the seconds that the service asks to wait."""

    reason: str
    may_pass: bool
    may_be_stored: bool
    retry_after: float = 0.0


def _failure(response: BaseHTTPResponse) -> _Failure:
    after = response.headers.get("Retry-After")
    reason = f"the last answer was {response.status}" + (f" with Retry-After: {after}" if after else "")
    return _Failure(reason, True, True, retry_after_seconds(after, response.headers.get("Date")))


def _reply(response: BaseHTTPResponse) -> Reply:
    try:
        body = json.loads(response.data)
    except (ValueError, RecursionError):
        body = None
    headers = response.headers
    replayed = headers.get("Idempotent-Replayed") == "true"
    return Reply(response.status, body, headers.get("Date"), headers.get("Location"), replayed)


def _is_untrusted(error: HTTPError) -> bool:
    """Whether TLS failed because of the certificate, which a repetition does not change."""
    return isinstance(error, SSLError) and any(isinstance(each, SSLCertVerificationError) for each in error.args)


def _parts(url: str) -> Url:
    """The parts of an http or https URL. Raises InvalidAddress."""
    try:
        parts = parse_url(url) if re.fullmatch("https?://[!-~]+", url, re.IGNORECASE) else None
    except LocationParseError:
        parts = None
    if parts is None or not parts.host or parts.port == 0:
        raise InvalidAddress(f"{url} is not an http or https URL.")
    if parts.auth or parts.query is not None or parts.fragment is not None:
        raise InvalidAddress("The URL has a user, a query or a fragment; give only scheme, host, port and path.")
    return parts
