"""API keys. WSGI middleware checks the key before anything else, so it protects every route, also unknown ones.

Keys in API_KEY open everything except the administration; keys in ADMIN_KEY open everything. The index, the health
checks and /openapi.json need no key."""

import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from service.errors import Forbidden, ServiceError, Unauthorized

OPEN_TO_ALL = ("/", "/livez", "/readyz", "/healthz", "/openapi.json")
FOR_ADMINISTRATORS = ("admin", "predictions")

_HEADERS = "as Authorization: Bearer <key> or as X-API-Key: <key>"

_FINGERPRINT_DIGITS = 8
_FINGERPRINT = "service.key_fingerprint"

WsgiApplication = Callable[[dict[str, Any], Any], Iterable[bytes]]


class ApiKeyMiddleware:
    """Checks the key of each request before it calls `application`. Without `api_keys` the API is open to all; without
    `admin_keys` the administration is closed to all. `refuse` makes the response to a refused request."""

    def __init__(
        self,
        application: WsgiApplication,
        api_keys: Sequence[str],
        admin_keys: Sequence[str],
        refuse: Callable[[ServiceError, dict[str, Any]], WsgiApplication],
    ) -> None:
        self._application = application
        self._refuse = refuse
        self._users = _Keys(api_keys)
        self._administrators = _Keys(admin_keys)
        self._is_open = not api_keys
        self._open_paths = frozenset(path.rstrip("/") + slash for path in OPEN_TO_ALL for slash in ("", "/"))

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path: str = environ["PATH_INFO"]
        # The router ignores leading slashes, so this check must too.
        is_admin = path.lstrip("/").partition("/")[0] in FOR_ADMINISTRATORS
        if is_admin or not (self._is_open or path in self._open_paths):
            try:
                self._check(environ, is_admin)
            except ServiceError as error:
                return self._refuse(error, environ)(environ, start_response)
        return self._application(environ, start_response)

    def _check(self, environ: dict[str, Any], is_admin: bool) -> None:
        if is_admin and not self._administrators:
            raise Forbidden("The administration is closed; set ADMIN_KEY to open it.")
        given = _key_digests(environ)
        found = self._administrators.find(given)
        if found is not None:
            environ[_FINGERPRINT] = found.hex()[:_FINGERPRINT_DIGITS]
            return
        if self._users.find(given) is None:
            wrong = "The API key is unknown; send a valid key" if given else "Send an API key"
            raise Unauthorized(f"{wrong}, {_HEADERS}.")
        if is_admin:
            raise Forbidden("This URL needs a key from ADMIN_KEY; an API key is not enough.")


class _Keys:
    """The digests of keys. Comparing digests hides the length of the keys from timing attacks."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._digests = tuple(map(_digest, keys))

    def __bool__(self) -> bool:
        return bool(self._digests)

    def find(self, digests: Sequence[bytes]) -> bytes | None:
        """The first of these that is the digest of a key. It always compares every pair, to take the same time."""
        found = [given for given in digests for own in self._digests if hmac.compare_digest(own, given)]
        return found[0] if found else None


def fingerprint(environ: Mapping[str, Any]) -> str:
    """The first 8 hex digits of the SHA-256 of the administrator's key with which this request was let in."""
    return str(environ[_FINGERPRINT])


def _key_digests(environ: dict[str, Any]) -> list[bytes]:
    scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    given = [token.strip()] if scheme.lower() == "bearer" else []
    if "HTTP_X_API_KEY" in environ:
        given.append(environ["HTTP_X_API_KEY"])
    return list(map(_digest, given))


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
