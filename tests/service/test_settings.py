"""Settings come from the environment, with defaults for a laptop, and docs/settings.md lists them all."""

import os
import re
import traceback
from dataclasses import fields

import pytest

from service.settings import Settings, SettingsError, set_native_defaults
from tests.support.passengers import PROJECT

KEY, OTHER_KEY, ADMIN_KEY = "a-key-of-a-client", "another-key:~!#+/=", "the-key-of-an-admin"


def test_an_empty_environment_gives_the_defaults() -> None:
    assert Settings.from_env({}) == Settings()


def test_each_field_is_read_from_its_variable() -> None:
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
        "GATE_MARGIN": "0.02",
        "AUTO_PROMOTE": "1",
        "MAX_ITEMS": "8",
        "MAX_BODY_BYTES": "9",
        "MAX_ARRAY_BYTES": "10",
        "MAX_BYTES_IN_FLIGHT": "20",
        "ALLOW_EPHEMERAL_DB": "1",
        "DYNO": "web.1",
        "API_KEY": f"{KEY}, {OTHER_KEY}",
        "ADMIN_KEY": ADMIN_KEY,
        "EXPORTS": "kept",
        "MODEL_DIGEST": "AB" * 32,
        "MODEL_SIGNING_KEY": "k" * 32,
        "REQUIRE_SIGNED": "1",
        "MODEL_MAX_BYTES": "11",
        "MODELS_KEPT": "12",
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
        gate_margin=0.02,
        auto_promote=True,
        max_items=8,
        max_body_bytes=9,
        max_array_bytes=10,
        max_bytes_in_flight=20,
        allow_ephemeral_db=True,
        dyno="web.1",
        api_key=(KEY, OTHER_KEY),
        admin_key=(ADMIN_KEY,),
        exports="kept",
        model_digest="ab" * 32,
        model_signing_key="k" * 32,
        model_max_bytes=11,
        models_kept=12,
        require_signed=True,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "70000"),
        ("MODELS_KEPT", "1"),
        ("WEB_CONCURRENCY", "0"),
        ("WEB_CONCURRENCY", "-1"),
        ("REQUEST_TIMEOUT", "nan"),
        ("REQUEST_TIMEOUT", "0"),
        ("GATE_MARGIN", "1"),
        ("GATE_MARGIN", "nan"),
        ("LOG_LEVEL", "loud"),
        ("ALLOW_EPHEMERAL_DB", "perhaps"),
        ("MAX_ITEMS", "1e3"),
        ("MODEL_DIGEST", "ba49f809a0ef"),
        ("MODEL_DIGEST", "g" * 64),
        ("REQUIRE_SIGNED", "yes"),
        ("MAX_PENDING", "9223372036854775808"),
        ("REQUEST_TIMEOUT", "inf"),
    ],
)
def test_an_invalid_setting_is_named_with_its_value(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} is {re.escape(repr(value))}: .*[.]$"):
        Settings.from_env({name: value})


def test_the_message_says_what_is_expected_of_every_invalid_setting() -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_env({"PORT": "70000", "SCORER": "fast"})

    assert str(refused.value) == (
        "PORT is '70000': input should be less than or equal to 65535. "
        "SCORER is 'fast': input should be 'compiled' or 'pipeline'."
    )


@pytest.mark.parametrize("name", ["API_KEY", "ADMIN_KEY"])
def test_an_invalid_secret_is_not_shown(name: str) -> None:
    secret = "-".join(["SECRET"] * 3) + "\x7f"

    with pytest.raises(SettingsError, match=name) as refused:
        Settings.from_env({name: secret})

    assert "SECRET-" not in "".join(traceback.format_exception(refused.value))


def test_an_empty_variable_counts_as_not_set() -> None:
    assert Settings.from_env({one.name.upper(): "" for one in fields(Settings)}) == Settings()


@pytest.mark.parametrize("name", ["API_KEY", "ADMIN_KEY"])
@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("short-SECRET", "has 12 characters; use 16 or more"),
        (f"{KEY},", "key 2 of 2 has 0 characters"),
        (f"{KEY},,{OTHER_KEY}", "key 2 of 3 has 0 characters"),
        (" ", "key 1 of 1 has 0 characters"),
        ("a key-with-a-SECRET", "cannot be in a header"),
        ("a-key-with\n-a-SECRET", "cannot be in a header"),
        ("a-key-with-a-SECRET-é", "cannot be in a header"),
        ("a-key-with-a-SECRET\x7f", "cannot be in a header"),
    ],
)
def test_an_invalid_key_is_refused_and_not_shown(name: str, value: str, message: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: .*{message}") as refused:
        Settings.from_env({name: value})

    assert "SECRET" not in str(refused.value)


def test_a_key_cannot_be_for_clients_and_administrators() -> None:
    with pytest.raises(SettingsError, match="share a key") as refused:
        Settings.from_env({"API_KEY": f"{KEY},{OTHER_KEY}", "ADMIN_KEY": OTHER_KEY})

    assert OTHER_KEY not in str(refused.value)


def test_no_secret_is_in_the_repr() -> None:
    secrets = {"API_KEY": KEY, "ADMIN_KEY": ADMIN_KEY, "DATABASE_URL": "postgres://u:SECRET@h/d"}
    settings = Settings.from_env({**secrets, "MODEL_SIGNING_KEY": "SECRET" * 6})

    assert not any(secret in repr(settings) + str(settings) for secret in (KEY, ADMIN_KEY, "SECRET"))


def test_a_dyno_refuses_a_sqlite_log() -> None:
    with pytest.raises(SettingsError, match="ALLOW_EPHEMERAL_DB=1"):
        Settings.from_env({"DYNO": "web.1"})

    assert Settings.from_env({"DYNO": "web.1", "ALLOW_EPHEMERAL_DB": "1"}).host == "0.0.0.0"
    assert Settings.from_env({"DYNO": "web.1", "DATABASE_URL": "postgres://h/d"}).host == "0.0.0.0"


@pytest.mark.parametrize(
    "platform",
    ["RAILWAY_ENVIRONMENT", "RENDER", "FLY_APP_NAME", "KUBERNETES_SERVICE_HOST", "K_SERVICE", "WEBSITE_SITE_NAME"],
)
def test_on_a_platform_every_interface_is_listened_on_unless_host_says_otherwise(platform: str) -> None:
    assert Settings.from_env({platform: "production"}).host == "0.0.0.0"
    assert Settings.from_env({platform: "production", "HOST": "10.0.0.7"}).host == "10.0.0.7"
    assert Settings.from_env({platform: ""}).host == "127.0.0.1"


@pytest.mark.parametrize("host", ["::", "::1", "[::1]", "fe80::1%eth0", "localhost", "my-host.example", "10.0.0.7"])
def test_a_host_may_be_a_name_or_an_address_of_either_kind(host: str) -> None:
    assert Settings.from_env({"HOST": host}).host == host.strip("[]")


@pytest.mark.parametrize("host", ["foo bar", "http://localhost", "localhost:5000", "a/b", "[", ":"])
def test_another_host_is_refused(host: str) -> None:
    with pytest.raises(SettingsError, match=r"^HOST is "):
        Settings.from_env({"HOST": host})


@pytest.mark.parametrize("variables", [{}, {"PORT": "8080"}, {"DATABASE_URL": "postgres://h/d"}, {"CI": "true"}])
def test_elsewhere_only_the_machine_itself_reaches_the_service(variables: dict[str, str]) -> None:
    assert Settings.from_env(variables).host == "127.0.0.1"


def test_the_settings_page_lists_every_setting_with_its_default() -> None:
    rows = re.findall(
        r"^\| `([A-Z_]+)` \| `?([^|`]*)`? \|", (PROJECT / "docs" / "settings.md").read_text(), re.MULTILINE
    )
    defaults = {field.name.upper(): str(field.default) for field in fields(Settings)}
    defaults |= {
        "REQUIRE_SIGNED": "0",
        "ALLOW_EPHEMERAL_DB": "0",
        "AUTO_PROMOTE": "0",
        "DYNO": "",
        "REQUEST_TIMEOUT": "20",
        "API_KEY": "",
        "ADMIN_KEY": "",
    }

    assert dict(rows) == defaults


def test_openmp_gets_one_thread_whatever_is_set_and_blas_unless_it_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "4")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)

    set_native_defaults()

    assert os.environ["OMP_NUM_THREADS"] == "1"
    assert os.environ["OPENBLAS_NUM_THREADS"] == "4"
    assert os.environ["MKL_NUM_THREADS"] == "1"
