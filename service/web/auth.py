"""Who may come in: keys, asked for before anything else of a request is looked at.

This is WSGI, below Flask: whatever is served later is behind it without a word there, and so is what does not exist.
Two kinds of keys: those of API_KEY open everything but the administration, those of ADMIN_KEY open everything. Health
and the description of the API are open to all."""

import hashlib
import hmac
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from service.errors import Forbidden, ServiceError, Unauthorized

OPEN_TO_ALL = ("/livez", "/readyz", "/healthz", "/openapi.json")
FOR_ADMINISTRATORS = ("admin", "predictions")

_HOW = "as Authorization: Bearer <key> or as X-API-Key: <key>"

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


class ApiKeyMiddleware:
    """A WSGI application around another. Without `api_keys` everybody may use the API, and without `admin_keys`
    nobody the administration. `refuse` makes the answer to a request that is not let in."""

    def __init__(
        self,
        application: Application,
        api_keys: Sequence[str],
        admin_keys: Sequence[str],
        refuse: Callable[[ServiceError, dict[str, Any]], Application],
    ) -> None:
        self._application = application
        self._refuse = refuse
        self._users = _Keys(api_keys)
        self._administrators = _Keys(admin_keys)
        self._is_free = not api_keys
        self._open = frozenset(path + slash for path in OPEN_TO_ALL for slash in ("", "/"))

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path: str = environ["PATH_INFO"]
        # A path means to the router what it means without its leading slashes, however many.
        administers = path.lstrip("/").partition("/")[0] in FOR_ADMINISTRATORS
        if administers or not (self._is_free or path in self._open):
            try:
                self._admit(environ, administers)
            except ServiceError as error:
                return self._refuse(error, environ)(environ, start_response)
        return self._application(environ, start_response)

    def _admit(self, environ: dict[str, Any], administers: bool) -> None:
        if administers and not self._administrators:
            raise Forbidden("The administration is closed; set ADMIN_KEY to open it.")
        given = _digests_of_keys_in(environ)
        if self._administrators.hold(given):
            return
        if not self._users.hold(given):
            wrong = "The key is not known; send one that is" if given else "Send a key"
            raise Unauthorized(f"{wrong}, {_HOW}.")
        if administers:
            raise Forbidden("An API key does not open the administration; send the admin key.")


class _Keys:
    """Keys by their digests, so that the time of a comparison tells neither what they are nor how long."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._digests = tuple(map(_digest, keys))

    def __bool__(self) -> bool:
        return bool(self._digests)

    def hold(self, digests: Sequence[bytes]) -> bool:
        """Whether one of these is the digest of a key. Every pair is compared, whatever the others came to."""
        return sum(hmac.compare_digest(own, given) for own in self._digests for given in digests) > 0


def _digests_of_keys_in(environ: dict[str, Any]) -> list[bytes]:
    scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    given = [token.strip()] if scheme.lower() == "bearer" else []
    if "HTTP_X_API_KEY" in environ:
        given.append(environ["HTTP_X_API_KEY"])
    return list(map(_digest, given))


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
