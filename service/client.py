"""A client of the service that keeps one connection open.

Its requests are safe to repeat, because their ids make them so. They are repeated after a connection error, and while
the service answers that it is unavailable."""

import re
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from urllib3 import HTTPConnectionPool, Retry, connection_from_url
from urllib3.exceptions import HTTPError, LocationParseError, MaxRetryError
from urllib3.util import parse_url

_TIMEOUT_SECONDS = 30.0
_RETRY: dict[str, Any] = {
    "total": None,
    "allowed_methods": None,
    "status_forcelist": (502, 503, 504),
    "backoff_factor": 0.1,
    "backoff_max": 5,
    "retry_after_max": 5,
}


class NoAnswer(OSError):
    """The service could not be reached, or the response is not JSON."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The status, the parsed JSON body, and the Date header."""

    status: int
    body: Any
    date: str | None


class HttpClient:
    """Sends JSON to an http or https URL, with an API key if there is one, and repeats for `patience` seconds. It
    ignores proxy variables and .netrc. Raises NoAnswer for an invalid URL or key."""

    def __init__(self, url: str, key: str = "", patience: float = 60.0) -> None:
        self._path = _path(url)
        if not (key.isascii() and key.isprintable()):
            raise NoAnswer("The API key contains invalid characters; use visible ASCII.")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        timeout = min(_TIMEOUT_SECONDS, patience)
        self._pool: HTTPConnectionPool = connection_from_url(url, headers=headers, timeout=timeout, maxsize=1)
        self._url = url
        self._patience = patience

    def get(self, path: str) -> Reply:
        """GETs a path that begins with a slash. Raises NoAnswer."""
        return self._request("GET", path)

    def post(self, path: str, body: Any) -> Reply:
        """POSTs a JSON body. Raises NoAnswer."""
        return self._request("POST", path, json=body)

    def close(self) -> None:
        """Closes the connection."""
        self._pool.close()

    def _request(self, method: str, path: str, **body: Any) -> Reply:
        retries = _RetryUntil(**_RETRY)
        retries.deadline = time.monotonic() + self._patience
        try:
            response = self._pool.request(method, self._path + path, retries=retries, redirect=False, **body)
            return Reply(response.status, response.json(), response.headers.get("Date"))
        except HTTPError as error:
            reason = error.reason if isinstance(error, MaxRetryError) else error
            raise NoAnswer(f"{self._url} did not answer within {self._patience:.0f} seconds: {reason}") from error
        except ValueError:
            raise NoAnswer(f"{self._url}{path} answered {response.status} without JSON; is it this service?") from None


class _RetryUntil(Retry):
    deadline = 0.0  # on the monotonic clock

    def new(self, **changes: Any) -> "_RetryUntil":
        following = super().new(**changes)
        following.deadline = self.deadline
        return following

    def is_exhausted(self) -> bool:
        return time.monotonic() >= self.deadline


def _path(url: str) -> str:
    """The path of a valid URL, without the slash at its end."""
    with suppress(LocationParseError):
        parts = parse_url(url)
        if parts.scheme in ("http", "https") and parts.host and parts.port != 0 and re.fullmatch("[!-~]+", url):
            return (parts.path or "").rstrip("/")
    raise NoAnswer(f"{url} is not an http or https URL.")
