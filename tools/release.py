"""Checks that a version can be released and prints the commands that release it. It changes and pushes nothing.

Usage: `python -m tools.release [VERSION]`; without an argument it takes the version of the service.
"""

import re
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[1]
VERSION_FILE = "service/__init__.py"


def problems(project: Path, version: str) -> list[str]:
    """The reasons why the checkout in `project` cannot be released as `version`, one sentence each; none if it can."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        return [f"{version} is not a version; it has three numbers, such as 1.2.0."]
    found = []
    declared = declared_version(project)
    if declared != version:
        found.append(f"{VERSION_FILE} has version {declared}; set it to {version}.")
    if not re.search(rf"^## {re.escape(version)}\b", (project / "CHANGELOG.md").read_text(), re.MULTILINE):
        found.append(f"CHANGELOG.md has no section '## {version}'; rename '## Unreleased' to '## {version} - DATE'.")
    tags = [tag for tag in _git(project, "tag", "--list", "v*").split() if re.fullmatch(r"v\d+\.\d+\.\d+", tag)]
    if f"v{version}" in tags:
        found.append(f"The tag v{version} exists already; choose the next version.")
    elif later := [tag for tag in tags if _numbers(tag[1:]) > _numbers(version)]:
        found.append(f"The tag {max(later, key=lambda tag: _numbers(tag[1:]))} is later than {version}.")
    if _git(project, "status", "--porcelain"):
        found.append("The working tree has changes that are not committed.")
    return found


def declared_version(project: Path) -> str:
    """The version that the source declares. It is read as text, because importing could find another checkout."""
    found = re.search(r'^__version__ = "(.+)"$', (project / VERSION_FILE).read_text(), re.MULTILINE)
    if found is None:
        raise ValueError(f"{VERSION_FILE} has no line __version__ = ...")
    return found[1]


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]


def _git(project: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", str(project), *arguments], capture_output=True, text=True, check=True).stdout


def _main() -> None:
    version = sys.argv[1] if len(sys.argv) > 1 else declared_version(PROJECT)
    if found := problems(PROJECT, version):
        sys.exit("\n".join([f"{version} cannot be released:", *(f"- {problem}" for problem in found)]))
    steps = ["make check test test-all", f"git tag -a v{version} -m 'Version {version}'", f"git push origin v{version}"]
    sys.stdout.write("\n".join([f"{version} can be released. Run:", *(f"    {step}" for step in steps), ""]))


if __name__ == "__main__":
    _main()
