"""Checks that a version can be released and prints the commands that release it. It changes and pushes nothing.

Usage: `python -m tools.release [VERSION]`; without an argument it takes the version of pyproject.toml.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1]


def problems(project: Path, version: str) -> list[str]:
    """The reasons why the checkout in `project` cannot be released as `version`, one sentence each; none if it can."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        return [f"{version} is not a version; it has three numbers, such as 1.2.0."]
    found = []
    declared = _declared(project)
    if declared != version:
        found.append(f"pyproject.toml has version {declared}; set it to {version}.")
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


def _declared(project: Path) -> str:
    return str(tomllib.loads((project / "pyproject.toml").read_text())["project"]["version"])


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]


def _git(project: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", str(project), *arguments], capture_output=True, text=True, check=True).stdout


def _main() -> None:
    version = sys.argv[1] if len(sys.argv) > 1 else _declared(PROJECT)
    if found := problems(PROJECT, version):
        sys.exit("\n".join([f"{version} cannot be released:", *(f"- {problem}" for problem in found)]))
    steps = ["make check test test-all", f"git tag -a v{version} -m 'Version {version}'", f"git push origin v{version}"]
    sys.stdout.write("\n".join([f"{version} can be released. Run:", *(f"    {step}" for step in steps), ""]))


if __name__ == "__main__":
    _main()
