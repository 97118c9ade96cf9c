"""The files that platforms read agree with each other, with the service and with the rules of the platforms."""

import json
import re
import secrets
import subprocess
from dataclasses import fields
from fnmatch import fnmatch
from typing import Any

import pytest
import yaml
from click import Context
from click.testing import CliRunner

from service.__main__ import main
from service.settings import _PLATFORM_VARIABLES, Settings
from tests.conftest import Client
from tests.support.passengers import PROJECT

SETTINGS = {field.name.upper() for field in fields(Settings)}
GRACE_SECONDS = 25  # `graceful_timeout` of gunicorn.conf.py


def text(name: str) -> str:
    return (PROJECT / name).read_text()


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True, check=True)
    return listed.stdout.splitlines()


def block(language: str) -> str:
    """The only block of code of this language in docs/deploy.md."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", text("docs/deploy.md"), re.DOTALL | re.MULTILINE)
    return str(found)


# --- Heroku


def test_heroku_finds_one_kind_of_lock_file() -> None:
    others = ["Pipfile", "Pipfile.lock", "poetry.lock", "uv.lock", "setup.py"]

    assert [name for name in ["requirements.txt", *others] if (PROJECT / name).exists()] == ["requirements.txt"]


def test_the_python_of_heroku_is_that_of_the_project() -> None:
    assert text("runtime.txt") == "python-3.11\n"
    assert text(".python-version") == "3.11\n"


def test_nothing_is_committed_that_the_buildpack_refuses_or_overwrites() -> None:
    refused = {".venv", "venv", "site-packages", ".heroku", "bin", "lib", "include"}

    assert not [name for name in tracked() if name.split("/")[0] in refused]


def test_each_line_of_the_procfile_is_one_process_type() -> None:
    lines = text("Procfile").splitlines()

    assert all(re.fullmatch(r"[A-Za-z0-9_-]+: \S.*", line) for line in lines)
    assert len({line.split(":")[0] for line in lines}) == len(lines)


def test_the_app_description_sets_what_the_service_reads_and_leaves_the_workers_to_the_buildpack() -> None:
    described = json.loads(text("app.json"))

    assert set(described["env"]) <= SETTINGS - {"WEB_CONCURRENCY"}
    assert set(described["formation"]) == {"web", "worker"}
    assert described["formation"]["worker"]["quantity"] == 0  # the database of the description has few connections
    assert described["stack"] == "heroku-24"
    assert not described["env"]["API_KEY"].keys() & {"value"}


def test_the_secrets_that_heroku_makes_are_valid_keys() -> None:
    made = [name for name, value in json.loads(text("app.json"))["env"].items() if value.get("generator") == "secret"]

    assert made == ["API_KEY", "ADMIN_KEY", "MODEL_SIGNING_KEY"]
    Settings.from_env({name: secrets.token_hex(32) for name in made})


# --- Railway


def test_railway_builds_the_image_and_waits_for_the_service(make_client: Any) -> None:
    described = json.loads(text("railway.json"))

    assert described["build"]["builder"] == "DOCKERFILE"
    assert make_client().get(described["deploy"]["healthcheckPath"]).status_code == 200
    assert described["deploy"]["drainingSeconds"] > GRACE_SECONDS
    assert "startCommand" not in described["deploy"]  # the image has it


# --- the image


def test_the_image_sets_only_variables_that_something_reads() -> None:
    (variables,) = re.findall(r"^ENV (.*(?:\\\n.*)*)", text("Dockerfile"), re.MULTILINE)
    names = set(re.findall(r"(\w+)=", variables))

    assert names - {"PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"} == {"HOST", "DATABASE_URL", "EXPORTS"}
    assert {"HOST", "DATABASE_URL", "EXPORTS"} <= SETTINGS


def test_the_image_has_the_python_of_the_project_and_installs_by_hash() -> None:
    assert f"ARG PYTHON={text('.python-version')}" in text("Dockerfile")
    assert "--require-hashes -r requirements.txt" in text("Dockerfile")


def test_the_image_is_not_run_by_root_and_has_no_declared_volume() -> None:
    instructions = re.findall(r"^([A-Z]+) (.*)$", text("Dockerfile"), re.MULTILINE)
    last_user = [value for name, value in instructions if name == "USER"][-1]

    assert last_user == "10001"  # a number, because Kubernetes cannot check a name
    assert "VOLUME" not in dict(instructions)  # Railway refuses such a file


def test_the_image_starts_with_a_command_of_the_service() -> None:
    assert 'CMD ["python", "-m", "service", "serve"]' in text("Dockerfile")
    assert "serve" in CliRunner().invoke(main, ["--help"]).output


def test_the_image_gets_what_serving_needs_and_nothing_else() -> None:
    allowed = [line[1:] for line in text(".dockerignore").splitlines() if line.startswith("!")]
    sent = {name for name in tracked() if any(fnmatch(name.split("/")[0], pattern) for pattern in allowed)}

    assert {name.split("/")[0] for name in sent} == {
        "app.py", "artifacts", "data", "gunicorn.conf.py", "requirements.txt", "serialize", "service",
    }  # fmt: skip
    assert any(fnmatch("own_steps.py", pattern) for pattern in allowed)  # a module of the user beside app.py


# --- compose


@pytest.fixture
def compose() -> Any:
    return yaml.safe_load(text("compose.yaml"))


@pytest.mark.parametrize("name", ["service", "worker"])
def test_compose_passes_settings_that_the_service_reads(compose: Any, name: str) -> None:
    assert set(compose["services"][name]["environment"]) <= SETTINGS


def test_the_worker_of_compose_uses_the_database_and_the_keys_of_the_service(compose: Any) -> None:
    service, worker = compose["services"]["service"], compose["services"]["worker"]

    assert worker["command"][:3] == ["python", "-m", "service"]
    assert worker["command"][3] in main.list_commands(Context(main))
    assert worker["environment"].items() <= service["environment"].items()
    assert {"DATABASE_URL", "MODEL_SIGNING_KEY"} <= set(worker["environment"])
    assert "ports" not in worker


def test_compose_waits_for_the_database_and_keeps_both_volumes(compose: Any) -> None:
    service, database = compose["services"]["service"], compose["services"]["database"]

    assert service["depends_on"]["database"]["condition"] == "service_healthy"
    assert "pg_isready" in database["healthcheck"]["test"]
    assert {volume.split(":")[0] for each in (service, database) for volume in each["volumes"]} == set(
        compose["volumes"]
    )


def test_compose_opens_only_the_service_and_only_to_this_machine(compose: Any) -> None:
    assert "ports" not in compose["services"]["database"]
    assert all(port.startswith("127.0.0.1:") for port in compose["services"]["service"]["ports"])


def test_compose_lets_the_service_finish(compose: Any) -> None:
    assert int(compose["services"]["service"]["stop_grace_period"].removesuffix("s")) > GRACE_SECONDS


# --- the page


def test_the_settings_page_names_every_platform_variable() -> None:
    page = text("docs/settings.md")

    assert [name for name in _PLATFORM_VARIABLES if f"`{name}`" not in page] == []


def test_the_grace_is_that_of_gunicorn() -> None:
    assert f"graceful_timeout = {GRACE_SECONDS}\n" in text("gunicorn.conf.py")


def test_the_probes_of_kubernetes_are_routes_of_the_service(client: Client) -> None:
    pod = yaml.safe_load(block("yaml"))["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    for name in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert client.get(container[name]["httpGet"]["path"]).status_code == 200
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["terminationGracePeriodSeconds"] > GRACE_SECONDS + 5  # the pause of preStop


def test_the_unit_of_systemd_starts_a_command_with_settings_that_the_service_reads() -> None:
    unit = dict(line.split("=", 1) for line in block("ini").splitlines() if "=" in line)
    names = set(re.findall(r"^Environment=(\w+)=", block("ini"), re.MULTILINE))

    assert names <= SETTINGS
    assert unit["ExecStart"] == f"{unit['WorkingDirectory']}/.venv/bin/python -m service serve"
    assert int(unit["TimeoutStopSec"]) > GRACE_SECONDS


def test_the_page_names_only_commands_that_exist() -> None:
    named = set(re.findall(r"python -m service ([a-z]+)", text("docs/deploy.md")))

    assert named <= set(main.list_commands(Context(main)))
