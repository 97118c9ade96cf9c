"""The settings of the service. This is the only module that reads the environment."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError

_LEAST_KEY_CHARACTERS = 16
_KEY = re.compile(r"[!-+\--~]+")  # visible ASCII without the comma, which separates keys
_DIGEST = re.compile("[0-9a-f]{64}")
_FLAGS = {"0": False, "1": True, "false": False, "true": True}


class SettingsError(ValueError):
    """A setting is invalid; the message names the variable."""


def _flag(text: str) -> bool:
    if text.lower() not in _FLAGS:
        raise ValueError("use 0 or 1")
    return _FLAGS[text.lower()]


def _digest(text: str) -> str:
    if not _DIGEST.fullmatch(text.lower()):
        raise ValueError("use the 64 hex digits of a sha256, as `python -m serialize show` prints")
    return text.lower()


def _keys(text: str) -> tuple[str, ...]:
    """The keys of a comma-separated list. The messages refer to a key by its position, because keys are secret."""
    keys = tuple(key.strip(" ") for key in text.split(","))
    for position, key in enumerate(keys, start=1):
        name = f"key {position} of {len(keys)}"
        if len(key) < _LEAST_KEY_CHARACTERS:
            least = f"{_LEAST_KEY_CHARACTERS} or more, such as `openssl rand -hex 32` prints"
            raise ValueError(f"{name} has {len(key)} characters; use {least}")
        if not _KEY.fullmatch(key):
            raise ValueError(f"{name} has a character that cannot be in a header; use visible ASCII without commas")
    return keys


Flag = Annotated[bool, BeforeValidator(_flag)]
Count = Annotated[int, Field(ge=1, lt=2**63)]
Keys = Annotated[tuple[str, ...], BeforeValidator(_keys)]


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting, with a default that works on a laptop. The variable is the field's name in capitals. A field that
    is secret, or may contain a secret, is not in the repr and its value is in no error."""

    database_url: str = field(default="sqlite:///predictions.db", repr=False)
    artifacts: str = "artifacts"
    exports: str = "exports"
    model_digest: Annotated[str, BeforeValidator(_digest)] = ""
    model_signing_key: str = field(default="", repr=False)
    require_signed: Flag = False
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 5000
    web_concurrency: Count = 2
    api_key: Keys = field(default=(), repr=False)
    admin_key: Keys = field(default=(), repr=False)
    scorer: Annotated[Literal["compiled", "pipeline"], BeforeValidator(str.lower)] = "compiled"
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(str.lower)] = "info"
    max_pending: Count = 1000
    request_timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 20.0
    max_items: Count = 10_000
    max_body_bytes: Count = 1024 * 1024
    max_array_bytes: Count = 16 * 1024 * 1024
    allow_ephemeral_db: Flag = False
    dyno: str = ""

    @classmethod
    def from_env(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """The settings from environment variables. An empty variable counts as not set. On a Heroku dyno the service
        listens on every interface unless HOST is set. Raises SettingsError."""
        given = {name: environment[name.upper()] for name in _SECRET if environment.get(name.upper())}
        if "dyno" in given:
            given.setdefault("host", "0.0.0.0")
        try:
            settings = _ADAPTER.validate_python(given)
        except ValidationError as error:
            raise SettingsError(" ".join(map(_sentence, error.errors()))) from None
        settings._refuse_ephemeral_log()
        settings._refuse_shared_key()
        return settings

    def _refuse_ephemeral_log(self) -> None:
        if self.dyno and self.database_url.startswith("sqlite") and not self.allow_ephemeral_db:
            raise SettingsError(
                "DATABASE_URL is a SQLite file, and a dyno loses its disk, and so the log, at every restart. Add "
                "Heroku Postgres, or set ALLOW_EPHEMERAL_DB=1 to accept the loss."
            )

    def _refuse_shared_key(self) -> None:
        if set(self.api_key) & set(self.admin_key):
            raise SettingsError(
                "API_KEY and ADMIN_KEY share a key, which makes clients administrators; use other keys."
            )


def set_native_defaults() -> None:
    """Sets how native libraries behave in a worker, unless the environment does. Call it before numpy and psycopg are
    imported.

    OpenMP and BLAS get one thread per process: the workers share the cores, and a parallel region that ran before a
    fork makes the children hang. psycopg waits in C, because it waits in a thread of its own; under gevent's patches it
    would start an event loop there by default."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("PSYCOPG_WAIT_FUNC", "wait_c")


_ADAPTER = TypeAdapter(Settings)
_SECRET = {one.name: not one.repr for one in fields(Settings)}


def _sentence(error: Any) -> str:
    """An error of pydantic in one sentence, without the value of a secret."""
    name = error["loc"][0]
    value = "" if _SECRET[name] else f" is {error['input']!r}"
    reason = str(error.get("ctx", {}).get("error") or error["msg"])
    return f"{name.upper()}{value}: {reason[0].lower()}{reason[1:]}."
