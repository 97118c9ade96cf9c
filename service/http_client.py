"""A client of the service on one kept connection. What is sent is safe to repeat, for its ids make it so; therefore it
is repeated where no answer came, or the service said that it cannot answer now."""

import json
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import SplitResult, urlsplit

PATIENCE_SECONDS = 60.0

_TIMEOUT_SECONDS = 30.0
_LONGEST_PAUSE_SECONDS = 5.0
_NOT_NOW = (502, 503, 504)
_URL = re.compile("[!-~]+")


class NoAnswer(OSError):
    """The service could not be reached, or did not speak as this service does."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The status, the JSON of the body, and the Date header."""

    status: int
    body: Any
    date: str | None


class HttpClient:
    """Sends JSON to a URL of http or https, with a key if there is one. `pause` waits so many seconds."""

    def __init__(
        self,
        url: str,
        key: str = "",
        pause: Callable[[float], None] = time.sleep,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        parts = _parts(url)
        if not (key.isascii() and key.isprintable()):
            raise NoAnswer("The key has characters that no key has.")
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._url = url
        self._path = parts.path.rstrip("/")
        self._headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
        self._connection = kind(parts.hostname or "", parts.port, timeout=_TIMEOUT_SECONDS)
        self._pause = pause
        self._patience = patience

    def get(self, path: str) -> Answer:
        """GETs a path, from its slash on. Raises NoAnswer."""
        return self._insist("GET", path, None)

    def post(self, path: str, body: Any) -> Answer:
        """POSTs JSON. Raises NoAnswer."""
        return self._insist("POST", path, json.dumps(body).encode())

    def close(self) -> None:
        """Closes the connection; the next request opens another."""
        self._connection.close()

    def _insist(self, method: str, path: str, body: bytes | None) -> Answer:
        pause, waited = 0.1, 0.0
        while True:
            answer, after, reason = self._try(method, path, body)
            if answer is not None:
                return answer
            if waited >= self._patience:
                raise NoAnswer(f"{self._url} gave no answer for {self._patience:.0f} seconds: {reason}")
            pause = min(_LONGEST_PAUSE_SECONDS, max(pause * 2, after))
            self._pause(pause)
            waited += pause

    def _try(self, method: str, path: str, body: bytes | None) -> tuple[Answer | None, float, str]:
        """The answer; or none, after how many seconds to ask again, and why."""
        try:
            self._connection.request(method, self._path + path, body, self._headers)
            response = self._connection.getresponse()
            content = response.read()
        except (HTTPException, OSError) as error:
            self.close()
            return None, 0.0, f"{type(error).__name__} {error}".strip()
        if response.status in _NOT_NOW:
            after = response.getheader("Retry-After") or "0"
            return None, float(after) if after.isdecimal() else 0.0, f"status {response.status}"
        try:
            return Answer(response.status, json.loads(content), response.getheader("Date")), 0.0, ""
        except ValueError:
            raise NoAnswer(f"{self._url}{path} answered {response.status} and no JSON; is it this service?") from None


def _parts(url: str) -> SplitResult:
    with suppress(ValueError):  # of a port, or of brackets
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and _URL.fullmatch(url):
            return parts
    raise NoAnswer(f"{url} is no URL of http or https.")
