"""The imports that must never be, by design: each module is read, none is run."""

import ast
from pathlib import Path

import pytest

from tests.passengers import PROJECT

MODULES = sorted(path for folder in ("serialize", "service") for path in (PROJECT / folder).rglob("*.py"))
HTTP_AND_DATABASE = {"flask", "flask_restful", "werkzeug", "peewee", "playhouse", "psycopg", "sqlite3"}

FORBIDDEN = {
    "service/models.py": {"flask", "flask_restful", "pandas", "sklearn", "joblib"},
    "service/label_log.py": {"flask", "flask_restful", "pandas", "sklearn", "joblib"},
    "service/prediction_log.py": {"flask", "flask_restful", "pandas", "sklearn", "joblib"},
    **{
        f"service/{name}.py": HTTP_AND_DATABASE
        for name in (
            *("observation", "label", "payload", "scoring", "batching", "errors", "flow", "record"),
            *("openapi", "operations", "schemas", "example"),
            *("performance", "figures", "cells", "intervals", "estimate", "grouping", "ledger", "query", "scorecard"),
            *("metrics", "measures", "instruments", "shared_folder", "live_figures"),
            *("report", "picture", "curves", "drawing", "pictures", "number_pictures", "log_pictures", "page"),
            *("drift", "comparison", "evidence", "log_query", "log_pages", "log_table", "logged_row"),
        )
    },
}


def imported(path: Path) -> set[str]:
    """The modules that a file imports, with their packages."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found | {name.partition(".")[0] for name in found}


def relative(path: Path) -> str:
    return path.relative_to(PROJECT).as_posix()


def uses(path: Path, module: str, name: str) -> bool:
    """Whether a file speaks of `module.name`."""
    return any(
        isinstance(node, ast.Attribute)
        and node.attr == name
        and isinstance(node.value, ast.Name)
        and node.value.id == module
        for node in ast.walk(ast.parse(path.read_text()))
    )


@pytest.mark.parametrize("name", FORBIDDEN)
def test_a_module_keeps_out_of_what_is_not_its_concern(name: str) -> None:
    assert not imported(PROJECT / name) & FORBIDDEN[name]


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_the_offline_side_knows_neither_service_nor_http_nor_database(path: Path) -> None:
    if path.is_relative_to(PROJECT / "serialize"):
        assert not imported(path) & (HTTP_AND_DATABASE | {"service"})


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_nothing_imports_the_application_or_its_factory(path: Path) -> None:
    assert not imported(path) & {"app", "service.factory"}


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_the_environment_is_read_in_settings_only(path: Path) -> None:
    if relative(path) != "service/settings.py":
        assert not uses(path, "os", "environ")
        assert not uses(path, "os", "getenv")


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_pickles_are_loaded_in_artifact_only_and_threads_kept_in_batching(path: Path) -> None:
    if relative(path) != "serialize/artifact.py":
        assert not uses(path, "joblib", "load")
        assert not uses(path, "pickle", "load")
        assert not uses(path, "pickle", "loads")
    if relative(path) != "service/batching.py":
        assert "threading" not in imported(path)


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_the_library_of_prometheus_is_known_to_metrics_only(path: Path) -> None:
    assert ("prometheus_client" in imported(path)) is (relative(path) == "service/metrics.py")


def test_there_is_a_test_for_the_versions_that_heroku_reads() -> None:
    assert (PROJECT / "runtime.txt").read_text() == "python-3.11\n"
    assert (PROJECT / ".python-version").read_text() == "3.11\n"
