"""Options of commands that read a CSV file."""

import click


def separator(ctx: click.Context, parameter: click.Parameter, value: str) -> str:
    """The separator of a CSV file: one character, or the word tab. Raises click.BadParameter."""
    character = {"tab": "\t", "\\t": "\t"}.get(value, value)
    if len(character) != 1 or character in '"\r\n':
        raise click.BadParameter(f"{value!r} is not a single character such as ; or the word tab.")
    return character
