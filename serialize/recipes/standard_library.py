"""Articles from Python's own standard library: the docstrings in its source files, each with a section. The files are
parsed and never imported."""

import ast
import re
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from serialize.errors import DumpError

LEAST_WORDS = 30

# The modules of each section; a package stands for all its modules. The sections are chapters of the library reference.
# Chapters on related subjects are merged until each section has enough modules to hold some out: all that is about
# files, for example, or all tools for Python programs. Left out are chapters of unrelated or very few modules, such as
# "Generic Operating System Services" and "Cryptographic Services". A module that starts with _py is the Python source
# of a module written in C.
_MODULES = {
    "text processing": "codecs difflib encodings gettext locale re rlcompleter sre_compile sre_parse string stringprep "
    "textwrap",
    "data types and mathematics": "_collections_abc _pydatetime _pydecimal _strptime _weakrefset bisect calendar "
    "collections copy datetime decimal enum fractions functools graphlib heapq numbers operator pprint random reprlib "
    "statistics types weakref zoneinfo",
    "files": "_compression _pyio bz2 compression configparser copyreg csv dbm filecmp fileinput fnmatch genericpath "
    "glob gzip io linecache lzma netrc os pathlib pickle plistlib posixpath shelve shutil sqlite3 stat tarfile "
    "tempfile tomllib xdrlib zipfile",
    "concurrency": "_threading_local asyncio concurrent contextvars multiprocessing queue sched subprocess threading",
    "networking": "asynchat asyncore ftplib http imaplib ipaddress nntplib nturl2path poplib selectors smtpd smtplib "
    "socket socketserver ssl telnetlib urllib uuid webbrowser wsgiref xmlrpc",
    "internet data": "base64 email json mailbox mimetypes quopri uu",
    "markup": "_markupbase html xml",
    "language and tools": "_py_warnings abc annotationlib ast bdb cProfile code codeop compileall contextlib "
    "dataclasses dis doctest importlib inspect modulefinder opcode pdb pickletools pkgutil profile pstats py_compile "
    "pyclbr pydoc runpy site symtable sysconfig tabnanny timeit token tokenize trace traceback tracemalloc typing "
    "unittest warnings zipimport",
    "user interfaces": "colorsys curses tkinter turtle",
}
SECTION_OF = {module: section for section, modules in _MODULES.items() for module in modules.split()}
_TESTS = {"test", "tests"}
_SIGNATURE = re.compile(r"\s*(?:class |def )?[\w.]+\(.*\)\s*(?:-+>.*|=.*|:)?")


@dataclass(frozen=True, slots=True)
class Article:
    """The docstring of a module or function, or those of a class and its methods. `title` is the name of the function
    or class; no title names the module, except that of the module's own docstring."""

    module: str
    title: str
    text: str
    section: str


def articles(folder: str | Path | None = None) -> list[Article]:
    """The articles of at least 30 words in a standard library, by default that of the running Python: in the order of
    the modules' names, then of the lines. A docstring that occurs twice counts once, so that no two modules share one.
    Raises DumpError if there are no source files."""
    root = Path(folder or sysconfig.get_path("stdlib"))
    found, seen = list[Article](), set[str]()
    for module, path in sorted(_modules(root)):
        tree = ast.parse(path.read_bytes())
        own = ast.get_docstring(tree)
        parts = [(module, [own] if own else []), *((node.name, list(_docstrings(node))) for node in _definitions(tree))]
        for title, docstrings in parts:
            texts = [text for text in map(_prose, docstrings) if text not in seen]
            seen.update(texts)
            text = "\n\n".join(texts)
            if len(text.split()) >= LEAST_WORDS:
                found.append(Article(module, title, text, SECTION_OF[module.partition(".")[0]]))
    if not found:
        raise DumpError("This Python has no source files of its standard library; give your own articles with --data.")
    return found


def _modules(root: Path) -> Iterator[tuple[str, Path]]:
    """The dotted name and the file of each module that has a section."""
    for name in SECTION_OF:
        for path in chain(root.glob(f"{name}.py"), root.glob(f"{name}/**/*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            if _TESTS.isdisjoint(parts):
                yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def _definitions(node: ast.AST) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield child


def _docstrings(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    """The docstring of a class or function, then those of all in it."""
    own = ast.get_docstring(node)
    if own:
        yield own
    for child in _definitions(node):
        yield from _docstrings(child)


def _prose(docstring: str) -> str:
    """A docstring without the lines that only repeat a call signature."""
    return "\n".join(line for line in docstring.splitlines() if not _SIGNATURE.fullmatch(line)).strip()
