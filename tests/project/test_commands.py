"""docs/commands.md says what the commands say."""

from tests.support.command_help import PAGE, page


def test_the_page_has_the_help_of_every_command() -> None:
    assert PAGE.read_text() == page(), "run `python -m tests.support.command_help`"
