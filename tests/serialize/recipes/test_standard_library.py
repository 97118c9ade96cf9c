"""The articles of a standard library are its docstrings by module, in a fixed order, and nothing is imported."""

import sys
from collections import Counter
from pathlib import Path

import pytest

from serialize import DumpError
from serialize.recipes.standard_library import LEAST_WORDS, SECTION_OF, Article, articles

LONG = "Words about this object, so many of them that they make an article. " * 3


def library(folder: Path, **modules: str) -> Path:
    """A folder with these source files; a double underscore in a name is a folder."""
    for name, source in modules.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return folder


@pytest.fixture(scope="module")
def own() -> list[Article]:
    """The articles of the Python that runs."""
    return articles()


def test_a_module_a_function_and_a_class_with_its_methods_are_articles(tmp_path: Path) -> None:
    source = f'''"""Module. {LONG}"""
def dumps():
    """Function. {LONG}"""
class Encoder:
    """Class. {LONG}"""
    def encode(self):
        """A short method."""
'''
    found = articles(library(tmp_path, json=source))

    assert [(each.module, each.title, each.section) for each in found] == [
        ("json", "json", "internet data"),
        ("json", "dumps", "internet data"),
        ("json", "Encoder", "internet data"),
    ]
    assert found[1].text == f"Function. {LONG}".strip()
    assert found[2].text == f"Class. {LONG.strip()}\n\nA short method."


def test_short_and_repeated_docstrings_and_tests_and_other_modules_are_left_out(tmp_path: Path) -> None:
    long = f'def work():\n    """{LONG}"""\n'
    folder = library(
        tmp_path,
        unittest__case=long,
        unittest__loader=long,
        unittest__test__case=long,
        idlelib__run=long,
        json='"""J."""',
    )

    assert [(each.module, each.title) for each in articles(folder)] == [("unittest.case", "work")]


def test_a_line_that_only_repeats_a_signature_is_left_out(tmp_path: Path) -> None:
    docstring = f"""walk(top, *, onerror=None) -> iterator

    Call walk(top) to see all. {LONG}
    Path.walk(top)"""

    (found,) = articles(library(tmp_path, os=f'def walk():\n    """{docstring}"""\n'))

    assert found.text == f"Call walk(top) to see all. {LONG}".strip()


def test_the_source_is_parsed_and_not_run(tmp_path: Path) -> None:
    (found,) = articles(library(tmp_path, ast=f'"""{LONG}"""\nraise SystemExit\n'))

    assert found.title == "ast"
    assert found.section == "language and tools"


def test_a_python_without_source_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DumpError, match=r"has no source files .* with --data"):
        articles(tmp_path)


@pytest.mark.long
def test_this_python_has_articles_in_every_section_in_the_order_of_its_modules(own: list[Article]) -> None:
    counts = Counter(each.section for each in own)

    assert set(counts) == set(SECTION_OF.values())
    assert min(counts.values()) >= 50
    assert len(own) > 1000
    assert [each.module for each in own] == sorted(each.module for each in own)
    assert len({each.text for each in own}) == len(own)
    assert all(len(each.text.split()) >= LEAST_WORDS for each in own)


@pytest.mark.long
def test_reading_this_python_imports_nothing() -> None:
    before = set(sys.modules)

    found = articles()

    assert {"tkinter", "turtle", "imaplib"} <= {each.module for each in found}
    assert set(sys.modules) == before


@pytest.mark.long
def test_only_the_article_of_a_module_has_its_name_as_the_title(own: list[Article]) -> None:
    titles = {each.title for each in own if each.module == "http.client"}

    assert {"http.client", "HTTPConnection", "HTTPResponse"} <= titles
    assert [title for title in titles if "http.client" in title] == ["http.client"]
