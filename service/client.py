"""An HTTP client for the service. It repeats a request after a connection error and after 502, 503 and 504, which is
safe: the service answers a repeated id with the stored result."""

import re
import time
from dataclasses import dataclass
from typing import Any

from urllib3 import Retry, connection_from_url
from urllib3.exceptions import HTTPError, LocationParseError, MaxRetryError
from urllib3.util import parse_url

_TIMEOUT_SECONDS = 30.0


class NoAnswer(OSError):
    """The service could not be reached, or the response is not JSON."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The status, the parsed JSON body, and the Date header."""

    status: int
    body: Any
    date: str | None


class HttpClient:
    """Sends JSON to an http or https URL on one connection, with an API key if there is one, and repeats for `patience`
    seconds. It ignores proxy variables and .netrc. Raises NoAnswer for an invalid URL or key."""

    def __init__(self, url: str, key: str = "", patience: float = 60.0) -> None:
        if not (key.isascii() and key.isprintable()):
            raise NoAnswer("The API key contains invalid characters; use visible ASCII.")
        try:
            parts = parse_url(url) if re.fullmatch("https?://[!-~]+", url, re.IGNORECASE) else None
        except LocationParseError:
            parts = None
        if parts is None or not parts.host or parts.port == 0:
            raise NoAnswer(f"{url} is not an http or https URL.")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._pool = connection_from_url(url, headers=headers, timeout=min(_TIMEOUT_SECONDS, patience), maxsize=1)
        self._path = (parts.path or "").rstrip("/")
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
        retries = _RetryUntil(time.monotonic() + self._patience)
        try:
            response = self._pool.request(method, self._path + path, retries=retries, redirect=False, **body)
            return Reply(response.status, response.json(), response.headers.get("Date"))
        except HTTPError as error:
            reason = error.reason if isinstance(error, MaxRetryError) else error
            raise NoAnswer(f"{self._url} did not answer within {self._patience:.0f} seconds: {reason}") from error
        except ValueError:
            raise NoAnswer(f"{self._url}{path} answered {response.status} without JSON; is it this service?") from None


class _RetryUntil(Retry):
    """Repeats until a time on the monotonic clock, and waits five seconds at most between two attempts."""

    def __init__(self, deadline: float) -> None:
        statuses = (502, 503, 504)
        super().__init__(None, allowed_methods=None, status_forcelist=statuses, backoff_factor=0.1, backoff_max=5)
        self.retry_after_max = 5
        self.deadline = deadline

    def new(self, **changes: Any) -> "_RetryUntil":
        self.history = changes["history"]
        return self

    def is_exhausted(self) -> bool:
        return time.monotonic() >= self.deadline
