"""Settings come from the environment, with defaults for a laptop, and the README lists them all."""

import re
from dataclasses import fields

import pytest

from service.settings import Settings, SettingsError
from tests.passengers import PROJECT


def test_an_empty_environment_gives_the_defaults() -> None:
    assert Settings.from_env({}) == Settings()


def test_every_field_is_read_from_the_variable_of_its_name() -> None:
    environment = {
        "DATABASE_URL": "postgres://u:p@h/d",
        "ARTIFACTS": "other",
        "HOST": "0.0.0.0",
        "PORT": "8080",
        "WEB_CONCURRENCY": "3",
        "SCORER": "pipeline",
        "LOG_LEVEL": "WARNING",
        "MAX_PENDING": "7",
        "REQUEST_TIMEOUT": "2.5",
        "MAX_ITEMS": "8",
        "MAX_BODY_BYTES": "9",
        "MAX_ARRAY_BYTES": "10",
        "ALLOW_EPHEMERAL_DB": "1",
        "DYNO": "web.1",
    }

    settings = Settings.from_env(environment)

    assert {field.name.upper() for field in fields(Settings)} == set(environment)
    assert settings == Settings(
        database_url="postgres://u:p@h/d",
        artifacts="other",
        host="0.0.0.0",
        port=8080,
        web_concurrency=3,
        scorer="pipeline",
        log_level="warning",
        max_pending=7,
        request_timeout=2.5,
        max_items=8,
        max_body_bytes=9,
        max_array_bytes=10,
        allow_ephemeral_db=True,
        dyno="web.1",
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "70000"),
        ("WEB_CONCURRENCY", "0"),
        ("WEB_CONCURRENCY", "-1"),
        ("REQUEST_TIMEOUT", "nan"),
        ("REQUEST_TIMEOUT", "0"),
        ("LOG_LEVEL", "loud"),
        ("ALLOW_EPHEMERAL_DB", "perhaps"),
        ("MAX_ITEMS", "1e3"),
    ],
)
def test_a_setting_that_cannot_be_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.from_env({name: value})


def test_a_dyno_refuses_a_log_that_would_be_lost() -> None:
    with pytest.raises(SettingsError, match="ALLOW_EPHEMERAL_DB=1"):
        Settings.from_env({"DYNO": "web.1"})

    assert Settings.from_env({"DYNO": "web.1", "ALLOW_EPHEMERAL_DB": "1"}).host == "0.0.0.0"
    assert Settings.from_env({"DYNO": "web.1", "DATABASE_URL": "postgres://h/d"}).host == "0.0.0.0"


def test_the_readme_lists_every_setting_with_its_default() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| `?([^|`]*)`? \|", (PROJECT / "README.md").read_text(), re.MULTILINE)
    defaults = {field.name.upper(): str(field.default) for field in fields(Settings)}
    defaults |= {"ALLOW_EPHEMERAL_DB": "0", "DYNO": "", "REQUEST_TIMEOUT": "20"}

    assert dict(rows) == defaults
