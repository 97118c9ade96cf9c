"""Builds docs/commands.md from the help texts of the commands: `python -m tests.support.command_help` writes it."""

from collections.abc import Iterator

import click

import serialize.__main__
import service.__main__
from tests.support.passengers import PROJECT

PAGE = PROJECT / "docs" / "commands.md"

_INTRODUCTION = """# Commands

The help text of every command. `python -m tests.support.command_help` writes this page; a test fails when it
is out of date.
"""
_GROUPS = {"python -m service": service.__main__.main, "python -m serialize": serialize.__main__.main}
_WIDTH = 100


def page() -> str:
    """The text of the page."""
    return "\n".join(
        [_INTRODUCTION, *(section for name, group in _GROUPS.items() for section in _sections(name, group))]
    )


def _sections(name: str, group: click.Group) -> Iterator[str]:
    """A heading and the help text of the group, then of each of its commands."""
    context = click.Context(group, info_name=name, terminal_width=_WIDTH)
    yield _section("##", name, group.get_help(context))
    for command in group.list_commands(context):
        found = group.get_command(context, command)
        assert found is not None
        inner = click.Context(found, info_name=command, parent=context, terminal_width=_WIDTH)
        yield _section("###", f"{name} {command}", found.get_help(inner))


def _section(level: str, name: str, text: str) -> str:
    return f"{level} {name}\n\n```text\n{text}\n```\n"


if __name__ == "__main__":
    PAGE.write_text(page())
