"""docs/architecture.md and docs/output.md name what exists."""

import re

from tests.support.passengers import PROJECT

ARCHITECTURE = (PROJECT / "docs" / "architecture.md").read_text()


def test_every_folder_of_the_code_is_on_the_map() -> None:
    listed = {path.rstrip("/") for path in re.findall(r"`((?:service|serialize)/[a-z/]*)`", ARCHITECTURE)}
    packages = [path.parent for root in ("service", "serialize") for path in (PROJECT / root).rglob("__init__.py")]
    folders = {str(path.relative_to(PROJECT)) for path in packages}

    assert folders - {"service/storage/migrations"} == listed | {"service", "serialize"}


def test_every_module_on_the_path_of_a_request_exists() -> None:
    path = ARCHITECTURE.split("## The path of a request")[1].split("## Glossary")[0]
    rooms = "server|web|prediction|storage|monitoring|telemetry"
    for name in re.findall(rf"`((?:{rooms})\.\w+)`", path):
        assert (PROJECT / "service" / (name.replace(".", "/") + ".py")).is_file(), name


def test_every_file_that_a_guide_names_exists() -> None:
    for page in ("CONTRIBUTING.md", "docs/architecture.md", "docs/security.md"):
        for name in re.findall(
            r"`((?:service|serialize|benchmarks|docs)/[\w/.-]+\.\w+)`", (PROJECT / page).read_text()
        ):
            assert (PROJECT / name).is_file(), f"{page}: {name}"


def test_every_log_event_is_documented() -> None:
    documented = set(re.findall(r"^\| `([a-z-]+)` \|", (PROJECT / "docs" / "output.md").read_text(), re.MULTILINE))
    code = " ".join(path.read_text() for path in (PROJECT / "service").rglob("*.py"))
    events = set(re.findall(r'logging\.(?:INFO|WARNING|ERROR),\s*"([a-z-]+)"', code)) | {"refused", "error", "log"}

    assert events == documented
