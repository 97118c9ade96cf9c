"""What can be set from outside, and the only reader of the environment."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

LEAST_KEY_CHARACTERS = 16

_KEY = re.compile(r"[!-+\--~]+")  # what is visible in ASCII, but for the comma that separates keys


class SettingsError(ValueError):
    """A setting that cannot be; the message names the variable."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting with a default that works on a laptop; the variable is the field's name in capitals. What is
    secret, or may hold a secret, is not in the repr."""

    database_url: str = field(default="sqlite:///predictions.db", repr=False)
    artifacts: str = "artifacts"
    exports: str = "exports"
    model_digest: str = ""
    model_signing_key: str = field(default="", repr=False)
    require_signed: bool = False
    host: str = "127.0.0.1"
    port: int = 5000
    web_concurrency: int = 2
    api_key: tuple[str, ...] = field(default=(), repr=False)
    admin_key: tuple[str, ...] = field(default=(), repr=False)
    scorer: str = "compiled"
    log_level: str = "info"
    max_pending: int = 1000
    request_timeout: float = 20.0
    max_items: int = 10_000
    max_body_bytes: int = 1024 * 1024
    max_array_bytes: int = 16 * 1024 * 1024
    allow_ephemeral_db: bool = False
    dyno: str = ""

    @classmethod
    def from_env(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """The settings from environment variables; an empty one counts as not set. On a dyno every interface is
        listened on. Raises SettingsError."""
        read = _Reader(environment)
        defaults = cls(host="0.0.0.0" if environment.get("DYNO") else "127.0.0.1")
        settings = cls(
            database_url=read.text("DATABASE_URL", defaults.database_url),
            artifacts=read.text("ARTIFACTS", defaults.artifacts),
            exports=read.text("EXPORTS", defaults.exports),
            model_digest=read.digest("MODEL_DIGEST"),
            model_signing_key=read.text("MODEL_SIGNING_KEY", defaults.model_signing_key),
            require_signed=read.flag("REQUIRE_SIGNED", defaults.require_signed),
            host=read.text("HOST", defaults.host),
            port=read.integer("PORT", defaults.port, least=0, most=65535),
            web_concurrency=read.integer("WEB_CONCURRENCY", defaults.web_concurrency),
            api_key=read.keys("API_KEY"),
            admin_key=read.keys("ADMIN_KEY"),
            scorer=read.choice("SCORER", defaults.scorer, ("compiled", "pipeline")),
            log_level=read.choice("LOG_LEVEL", defaults.log_level, ("debug", "info", "warning", "error")),
            max_pending=read.integer("MAX_PENDING", defaults.max_pending),
            request_timeout=read.seconds("REQUEST_TIMEOUT", defaults.request_timeout),
            max_items=read.integer("MAX_ITEMS", defaults.max_items),
            max_body_bytes=read.integer("MAX_BODY_BYTES", defaults.max_body_bytes),
            max_array_bytes=read.integer("MAX_ARRAY_BYTES", defaults.max_array_bytes),
            allow_ephemeral_db=read.flag("ALLOW_EPHEMERAL_DB", defaults.allow_ephemeral_db),
            dyno=read.text("DYNO", defaults.dyno),
        )
        settings._refuse_ephemeral_log()
        settings._refuse_shared_key()
        return settings

    def _refuse_ephemeral_log(self) -> None:
        if self.dyno and self.database_url.startswith("sqlite") and not self.allow_ephemeral_db:
            raise SettingsError(
                "DATABASE_URL is a SQLite file, and the disk of a dyno is lost at every restart, so the log would be "
                "too: add Heroku Postgres, or set ALLOW_EPHEMERAL_DB=1 to accept the loss."
            )

    def _refuse_shared_key(self) -> None:
        if set(self.api_key) & set(self.admin_key):
            raise SettingsError(
                "API_KEY and ADMIN_KEY share a key, so every client would be an administrator; part them."
            )


def set_native_defaults() -> None:
    """Sets, unless the environment does, how native libraries behave in a worker. To be called before numpy and
    psycopg are imported.

    OpenMP and BLAS get one thread a process: the workers share the cores among themselves, and a parallel region run
    before a fork would hang the children. psycopg waits in C, for it waits in a thread of its own; under gevent's
    patches it would by default start an event loop there."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("PSYCOPG_WAIT_FUNC", "wait_c")


class _Reader:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def text(self, name: str, default: str) -> str:
        return self._environment.get(name) or default

    def integer(self, name: str, default: int, least: int = 1, most: int = 2**63 - 1) -> int:
        text = self.text(name, str(default))
        if not text.isdecimal() or not least <= int(text) <= most:
            upper = f" to {most}" if most < 2**63 - 1 else " or more"
            raise SettingsError(f"{name} is {text!r}; it must be an integer from {least}{upper}.")
        return int(text)

    def seconds(self, name: str, default: float) -> float:
        text = self.text(name, str(default))
        try:
            number = float(text)
        except ValueError:
            number = 0.0
        if not 0.0 < number < float("inf"):
            raise SettingsError(f"{name} is {text!r}; it must be a number of seconds above 0.")
        return number

    def choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        text = self.text(name, default).lower()
        if text not in choices:
            raise SettingsError(f"{name} is {text!r}; it must be one of {', '.join(choices)}.")
        return text

    def flag(self, name: str, default: bool) -> bool:
        text = self.text(name, "1" if default else "0").lower()
        if text not in ("0", "1", "true", "false"):
            raise SettingsError(f"{name} is {text!r}; it must be 0 or 1.")
        return text in ("1", "true")

    def digest(self, name: str) -> str:
        text = self.text(name, "").lower()
        if text and not re.fullmatch("[0-9a-f]{64}", text):
            raise SettingsError(
                f"{name} is {text!r}; it must be the 64 hex digits of a sha256, as serialize show says."
            )
        return text

    def keys(self, name: str) -> tuple[str, ...]:
        """Comma separated keys. The messages tell them by their place: a key is shown nowhere."""
        text = self.text(name, "")
        keys = tuple(key.strip(" ") for key in text.split(",")) if text else ()
        for place, key in enumerate(keys, start=1):
            if len(key) < LEAST_KEY_CHARACTERS:
                raise SettingsError(
                    f"{name}: key {place} of {len(keys)} has {len(key)} characters; give {LEAST_KEY_CHARACTERS} or "
                    "more, such as `openssl rand -hex 32` prints."
                )
            if not _KEY.fullmatch(key):
                raise SettingsError(
                    f"{name}: key {place} of {len(keys)} holds a character that cannot be in a header; use visible "
                    "ASCII without spaces and commas."
                )
        return keys
