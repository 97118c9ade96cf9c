"""The settings of the service. Only this module reads the environment."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from ipaddress import IPv6Address
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError

from serialize.trust import MODEL_MAX_BYTES, Trust, signing_keys

MODELS_KEPT = 10

_MIN_KEY_CHARACTERS = 16
_KEY = re.compile(r"[!-+\--~]+")  # visible ASCII without the comma, which separates keys
_DIGEST = re.compile("[0-9a-f]{64}")
_HOST_NAME = re.compile(r"[\w.-]+", re.ASCII)
# Each platform sets one of these. Its router reaches a service only through the machine's own network interface.
_PLATFORM_VARIABLES = (
    "DYNO",  # Heroku
    "RAILWAY_ENVIRONMENT",
    "RAILWAY_ENVIRONMENT_NAME",
    "RENDER",
    "FLY_APP_NAME",
    "KUBERNETES_SERVICE_HOST",
    "K_SERVICE",  # Google Cloud Run
    "ECS_CONTAINER_METADATA_URI_V4",  # Amazon ECS and Fargate
    "WEBSITE_SITE_NAME",  # Azure App Service
    "CONTAINER_APP_NAME",  # Azure Container Apps
    "VCAP_APPLICATION",  # Cloud Foundry
)
_FLAGS = {"0": False, "1": True, "false": False, "true": True}


class SettingsError(ValueError):
    """A setting is invalid; the message names the variable."""


def _flag(text: str) -> bool:
    if text.lower() not in _FLAGS:
        raise ValueError("use 0 or 1")
    return _FLAGS[text.lower()]


def _digest(text: str) -> str:
    if not _DIGEST.fullmatch(text.lower()):
        raise ValueError("use the 64 hex digits of a sha256, which `python -m serialize show` prints")
    return text.lower()


def _keys(text: str) -> tuple[str, ...]:
    """The keys of a comma-separated list. The messages refer to a key by its position, because keys are secret."""
    keys = tuple(key.strip(" ") for key in text.split(","))
    for position, key in enumerate(keys, start=1):
        name = f"key {position} of {len(keys)}"
        if len(key) < _MIN_KEY_CHARACTERS:
            expected = f"{_MIN_KEY_CHARACTERS} or more, for example the output of `openssl rand -hex 32`"
            raise ValueError(f"{name} has {len(key)} characters; use {expected}")
        if not _KEY.fullmatch(key):
            raise ValueError(f"{name} has a character that cannot be in a header; use visible ASCII without commas")
    return keys


def _host(text: str) -> str:
    try:
        if not _HOST_NAME.fullmatch(text):
            text = str(IPv6Address(text.removeprefix("[").removesuffix("]")))
    except ValueError:
        raise ValueError("use an address or a name of this machine, such as 127.0.0.1, 0.0.0.0 or ::") from None
    return text


Flag = Annotated[bool, BeforeValidator(_flag)]
Count = Annotated[int, Field(ge=1, lt=2**63)]
Keys = Annotated[tuple[str, ...], BeforeValidator(_keys)]


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings. A variable has the field's name in capitals. The repr and the errors omit fields that may contain a
    secret."""

    database_url: str = field(default="sqlite:///predictions.db", repr=False)
    artifacts: str = "artifacts"
    exports: str = "exports"
    model_digest: Annotated[str, BeforeValidator(_digest)] = ""
    model_signing_key: str = field(default="", repr=False)
    require_signed: Flag = False
    model_max_bytes: Count = MODEL_MAX_BYTES
    models_kept: Annotated[int, Field(ge=2, lt=2**63)] = MODELS_KEPT
    host: Annotated[str, BeforeValidator(_host)] = "127.0.0.1"
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
    max_bytes_in_flight: Count = 256 * 1024 * 1024
    gate_margin: Annotated[float, Field(ge=0, lt=1)] = 0.01
    auto_promote: Flag = False
    allow_ephemeral_db: Flag = False
    dyno: str = ""

    @classmethod
    def from_env(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """The settings from environment variables. An empty variable counts as not set. Where a variable of a platform
        is set, the service listens on every interface unless HOST is set. Raises SettingsError."""
        given = {name: environment[name.upper()] for name in _IS_SECRET if environment.get(name.upper())}
        if any(environment.get(name) for name in _PLATFORM_VARIABLES):
            given.setdefault("host", "0.0.0.0")
        try:
            settings = _ADAPTER.validate_python(given)
        except ValidationError as error:
            raise SettingsError(" ".join(map(_sentence, error.errors()))) from None
        settings._check_combinations()
        return settings

    def trust(self) -> Trust:
        """The conditions for an artifact. Raises ArtifactError for a signing key that is too short or missing."""
        keys = signing_keys(self.model_signing_key)
        return Trust(self.model_digest or None, keys, self.require_signed, self.model_max_bytes)

    def _check_combinations(self) -> None:
        if self.dyno and self.database_url.startswith("sqlite") and not self.allow_ephemeral_db:
            raise SettingsError(
                "DATABASE_URL is a SQLite file. A Heroku dyno loses its disk, and so the log, at every restart. Add "
                "Heroku Postgres, or set ALLOW_EPHEMERAL_DB=1 to accept the loss."
            )
        if self.max_bytes_in_flight < 2 * self.max_array_bytes:
            raise SettingsError(
                f"MAX_BYTES_IN_FLIGHT is {self.max_bytes_in_flight}: use at least twice MAX_ARRAY_BYTES, which is "
                f"{self.max_array_bytes}, because half of it is for bodies that arrive."
            )
        if set(self.api_key) & set(self.admin_key):
            raise SettingsError("API_KEY and ADMIN_KEY share a key, so clients are administrators; use other keys.")


def set_native_defaults() -> None:
    """Sets variables of native libraries. Call it before numpy and psycopg are imported.

    OpenMP and BLAS get one thread per process: the workers share the cores. For OpenMP this is no default but a
    condition: after a parallel region before a fork, histogram boosting and nearest neighbours hang in the children.
    psycopg waits in C: under gevent's patches it would start an event loop in its own thread."""
    os.environ["OMP_NUM_THREADS"] = "1"
    for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("PSYCOPG_WAIT_FUNC", "wait_c")


_ADAPTER = TypeAdapter(Settings)
_IS_SECRET = {setting.name: not setting.repr for setting in fields(Settings)}


def _sentence(error: Any) -> str:
    """A pydantic error as one sentence, without the value of a secret."""
    name = error["loc"][0]
    value = "" if _IS_SECRET[name] else f" is {error['input']!r}"
    reason = str(error.get("ctx", {}).get("error") or error["msg"])
    return f"{name.upper()}{value}: {reason[0].lower()}{reason[1:]}."
