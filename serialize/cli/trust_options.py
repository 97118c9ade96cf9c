"""Options of commands that read an artifact: what it must be to be trusted, and how large it may be."""

import click
from click.core import ParameterSource

from serialize.trust import MODEL_MAX_BYTES


def _from_environment(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Refuses a secret on the command line, because other users and the shell's history can read it there."""
    if parameter.name and ctx.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE:
        raise click.UsageError("Put the key into the environment as MODEL_SIGNING_KEY, not on the command line.")
    return value or None


key = click.option("--key", envvar="MODEL_SIGNING_KEY", hidden=True, callback=_from_environment)
digest = click.option(
    "--digest", envvar="MODEL_DIGEST", help="The sha256 that manifest.json must have.  [env: MODEL_DIGEST]"
)
signed = click.option(
    "--signed", envvar="REQUIRE_SIGNED", is_flag=True, help="Require a signature.  [env: REQUIRE_SIGNED]"
)
max_bytes = click.option(
    "--max-bytes",
    envvar="MODEL_MAX_BYTES",
    type=click.IntRange(min=1),
    default=MODEL_MAX_BYTES,
    help=f"The most bytes to read.  [env: MODEL_MAX_BYTES; default: {MODEL_MAX_BYTES}]",
)
