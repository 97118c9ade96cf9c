"""The address and the key of the service come from the options, or else from its settings."""

import click
import pytest
from click.testing import CliRunner

from service.__main__ import main
from service.cli.options import address
from service.settings import Settings

FIRST, SECOND, ADMIN = ("first-key-of-a-client", "second-key-of-a-client", "the-key-of-an-admin")


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, "http://127.0.0.1:5000"),
        ({"PORT": "8000"}, "http://127.0.0.1:8000"),
        ({"HOST": "0.0.0.0", "PORT": "80"}, "http://127.0.0.1:80"),
        ({"HOST": "::"}, "http://[::1]:5000"),
        ({"HOST": "fe80::1"}, "http://[fe80::1]:5000"),
        ({"HOST": "service.local"}, "http://service.local:5000"),
    ],
)
def test_the_service_is_where_its_settings_say(settings: dict[str, str], url: str) -> None:
    assert address(Settings.from_env(settings), None, None) == (url, "")


def test_a_given_url_is_taken_as_it_is() -> None:
    assert address(Settings.from_env({"PORT": "0"}), "https://example.org/a", None) == ("https://example.org/a", "")


@pytest.mark.parametrize(
    ("settings", "given", "key"),
    [
        ({"API_KEY": f"{FIRST}, {SECOND}", "ADMIN_KEY": ADMIN}, None, FIRST),
        ({"ADMIN_KEY": ADMIN}, None, ADMIN),
        ({"API_KEY": FIRST}, SECOND, SECOND),
        ({}, f" {SECOND}, other", SECOND),
    ],
)
def test_the_key_is_the_given_one_or_the_first_of_the_settings(
    settings: dict[str, str], given: str | None, key: str
) -> None:
    assert address(Settings.from_env(settings), None, given)[1] == key


def test_a_port_that_the_system_chooses_is_not_known() -> None:
    with pytest.raises(click.UsageError, match=r"PORT is 0, .*; give --url"):
        address(Settings.from_env({"PORT": "0"}), None, None)


@pytest.mark.parametrize("command", ["simulate", "seed"])
@pytest.mark.parametrize(
    ("arguments", "variables", "says"),
    [
        ([], {"PORT": "many"}, "Error: PORT is 'many'"),
        ([], {"API_KEY": "short"}, "Error: API_KEY: key 1 of 1 has 5 characters"),
        (["--sep", "ab"], {}, "'ab' is not a single character"),
        (["--target", "sold"], {}, "--target is a column of a file; give the file with --data."),
        (["--url", "nonsense"], {}, "Error: nonsense is not an http or https URL."),
    ],
)
def test_an_invalid_setting_or_option_gives_one_sentence(
    command: str, arguments: list[str], variables: dict[str, str], says: str
) -> None:
    ran = CliRunner(env=variables).invoke(main, [command, *arguments])

    assert ran.exit_code != 0
    assert isinstance(ran.exception, SystemExit)
    assert says in ran.stderr
