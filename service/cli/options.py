"""Options that several commands share, and what they mean together with the settings."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from serialize.cli.options import separator
from service.prediction.moment import EXPECTED_MOMENT, parse_moment
from service.settings import Settings

_LOCAL = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # of addresses that a service listens on and no client connects to


class FiniteRange(click.FloatRange):
    """A range of finite numbers; NaN and infinity are refused."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        found = super().convert(value, param, ctx)
        if not math.isfinite(found):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return found


def service_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --url and --api-key to a command."""
    for option in (
        click.option("--api-key", help="A key of the service.  [default: the first of API_KEY, or else of ADMIN_KEY]"),
        click.option("--url", help="The URL of the service.  [default: from HOST and PORT, http://127.0.0.1:5000]"),
    ):
        command = option(command)
    return command


def address(settings: Settings, url: str | None, api_key: str | None) -> tuple[str, str]:
    """The URL and the key of the service: those given, or those that the settings define. The key is "" without one.
    Raises click.UsageError if the settings leave the port to the system."""
    keys = (api_key or "").split(",") if api_key else [*settings.api_key, *settings.admin_key]
    key = keys[0].strip() if keys else ""
    if url is not None:
        return url, key
    if not settings.port:
        raise click.UsageError("PORT is 0, so the port of the service is not known; give --url.")
    host = _LOCAL.get(settings.host, settings.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}", key


@dataclass(frozen=True, slots=True)
class OwnData:
    """The user's file, None without one, the column of its labels, and the separator and the encoding of a CSV file.
    Raises click.UsageError for a column without a file."""

    path: Path | None
    target: str | None
    sep: str
    encoding: str

    def __post_init__(self) -> None:
        if self.path is None and self.target is not None:
            raise click.UsageError("--target is a column of a file; give the file with --data.")


def data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --data, --target, --sep and --encoding to a command."""
    path = click.Path(path_type=Path)
    for option in (
        click.option("--encoding", default="utf-8", show_default=True, help="The encoding of a CSV file."),
        click.option("--sep", default=",", show_default=True, callback=separator, help="The separator of a CSV file."),
        click.option("--target", metavar="COLUMN", help="The column of the true classes or values, sent to /update."),
        click.option("--data", type=path, metavar="FILE", help="Rows of your own: CSV, or .parquet, .ndjson, .jsonl."),
    ):
        command = option(command)
    return command


def selection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --since, --until (microseconds since 1970, or None) and --model-version to a command."""
    version = click.option("--model-version", help="Only predictions of this model version.")
    return since_option(until_option(version(command)))


def since_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --since (microseconds since 1970, or None) to a command."""
    help_text = "Only predictions made from this time on (ISO 8601)."
    return click.option("--since", callback=_moment, help=help_text)(command)


def until_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --until (microseconds since 1970, or None) to a command."""
    return click.option("--until", callback=_moment, help="Only predictions made before this time.")(command)


def _moment(ctx: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    try:
        return None if value is None else parse_moment(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not {EXPECTED_MOMENT}.") from None
