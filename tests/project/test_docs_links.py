"""Every relative link in a Markdown file leads to a file and heading that exist; docs/index.md leads to every page."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.passengers import PROJECT

DOCS = PROJECT / "docs"
FOLDERS = (PROJECT, PROJECT / "data", PROJECT / "tests")
DOCUMENTS = sorted([*DOCS.rglob("*.md"), *(page for folder in FOLDERS for page in folder.glob("*.md"))])

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")


def links(document: Path) -> Iterator[tuple[Path, str]]:
    """The target and the anchor of every relative link outside of code."""
    text = re.sub(r"^```.*?^```|`[^`\n]*`", "", document.read_text(), flags=re.DOTALL | re.MULTILINE)
    for page, image in LINK.findall(text):
        target, _, anchor = (page or image).partition("#")
        if not re.match(r"[a-z]+:", target):
            yield (document.parent / target if target else document).resolve(), anchor


def anchors(document: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a document."""
    text = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    for target, anchor in links(document):
        assert target.exists(), f"{target} does not exist"
        assert not anchor or anchor in anchors(target), f"{target.name} has no heading #{anchor}"


def test_the_index_leads_to_everything_in_docs() -> None:
    found, waiting = set(), [DOCS / "index.md"]
    while waiting:
        page = waiting.pop()
        found.add(page)
        if page.suffix == ".md" and page.is_relative_to(DOCS):
            waiting += [target for target, _ in links(page) if target not in found]

    files = {path for path in DOCS.rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"}}
    assert files <= found


def test_the_readme_leads_to_the_index_and_to_the_files_for_contributors() -> None:
    names = {target.name for target, _ in links(PROJECT / "README.md")}

    assert {"index.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "LICENSE"} <= names
