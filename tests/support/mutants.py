"""Mutation testing on a sample: changes one place of the code at a time, and checks that a test fails.

`python -m tests.support.mutants SEED [N [FIRST]]` draws N mutants of service/ and serialize/, and tests them from the
FIRST (0) on. The same seed, N and code give the same mutants, so an interrupted run can be continued. The mutants run
in temporary copies; the checkout does not change. A mutant is killed if a test fails or the tests do not end, and
survives if the fast tests that run its function pass: those of `make test`."""

import ast
import copy
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from queue import Queue
from typing import Any

PROJECT = Path(__file__).parents[2]
MUTATED = ("service", "serialize")
PROCESSES = 2
BUDGET = 60  # traced seconds of tests for one mutant; without the trace they take about half
MUTANT_SECONDS = 400

_COPIED = shutil.ignore_patterns(".git", ".venv", ".venvs", "__pycache__", ".*_cache", ".hypothesis")
_SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.USub: ast.UAdd,
}


@dataclass(frozen=True, slots=True)
class Mutant:
    """A change of one place: `path` from the root of the project, the line, the code before and after, and the changed
    source of the whole file."""

    path: str
    line: int
    before: str
    after: str
    source: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.before}  ->  {self.after}"


def mutants_of(path: str, source: str) -> Iterator[Mutant]:
    """Every mutant of a file: comparisons, boolean and arithmetic operators swapped, conditions negated, constants
    changed, returned values replaced by None, and statements removed. Annotations, docstrings and the options of
    dataclasses stay: a test cannot tell a frozen class from one that nothing changes."""
    tree = ast.parse(source)
    for node in _nodes(tree):
        for changed in _changes(node):
            before, after = ast.unparse(node), ast.unparse(changed)
            if before != after:
                text = _replaced(source, node, after)
                yield Mutant(path, node.lineno, _short(before), _short(after), text)


def _nodes(tree: ast.AST) -> Iterator[ast.expr | ast.stmt]:
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns", "type_params"):
            continue
        for node in value if isinstance(value, list) else [value]:
            if isinstance(node, ast.AST) and not _is_text(node) and not _is_dataclass_option(node):
                if isinstance(node, ast.expr | ast.stmt):
                    yield node
                if not isinstance(node, ast.JoinedStr):  # the parts of an f-string have no positions before 3.12
                    yield from _nodes(node)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_dataclass_option(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dataclass"


def _changes(node: ast.expr | ast.stmt) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(ops=[op]) if type(op) in _SWAPPED:
            yield _with(node, ops=[_SWAPPED[type(op)]()])
        case ast.BoolOp(op=op) | ast.BinOp(op=op) | ast.UnaryOp(op=op) if type(op) in _SWAPPED:
            yield _with(node, op=_SWAPPED[type(op)]())
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield operand
        case ast.Constant(value=bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(value=int() | float() as value):
            yield ast.Constant(value + 1)
        case ast.IfExp(test=test):
            yield _with(node, test=ast.UnaryOp(ast.Not(), test))
        case ast.Return(value=value) if value is not None and not _is_none(value):
            yield _with(node, value=ast.Constant(None))
        case ast.Expr() | ast.AugAssign() | ast.Raise() | ast.Continue() | ast.Break():
            yield ast.Pass()


def _with(node: ast.AST, **fields: object) -> ast.AST:
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _replaced(source: str, node: ast.expr | ast.stmt, text: str) -> str:
    """The source with the text of a node replaced. A new expression is put in parentheses."""
    lines = source.encode().splitlines(keepends=True)
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    first, last = lines[node.lineno - 1], lines[node.end_lineno - 1]
    new = f"({text})" if isinstance(node, ast.expr) else text
    middle = first[: node.col_offset] + new.encode() + last[node.end_col_offset :]
    return b"".join([*lines[: node.lineno - 1], middle, *lines[node.end_lineno :]]).decode()


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 90 else line[:87] + "..."


def sample(seed: int, count: int) -> list[Mutant]:
    """`count` mutants of the project's code, in random order."""
    files = sorted(file for folder in MUTATED for file in (PROJECT / folder).rglob("*.py"))
    paths = [(str(file.relative_to(PROJECT)), file.read_text()) for file in files if "migrations" not in file.parts]
    every = [mutant for path, source in paths for mutant in mutants_of(path, source)]
    return random.Random(seed).sample(every, min(count, len(every)))


class Tests:
    """What each test runs, and how long it takes. A test that fails without a mutant is left out."""

    def __init__(self, traces: Iterable[dict[str, Any]]) -> None:
        self._seconds: dict[str, float] = {}
        self._of_place: dict[str, set[str]] = {}
        in_setup: dict[str, set[str]] = {}
        for test, trace in (entry for traced in traces for entry in traced.items() if entry[1]["passed"]):
            self._seconds[test] = trace["seconds"]
            for place in trace["call"]:
                self._of_place.setdefault(place, set()).add(test)
            for place in trace["setup"]:
                in_setup.setdefault(place, set()).add(_module(test))
        for place, modules in in_setup.items():  # a fixture may be for all tests of a module
            found = {test for test in self._seconds if _module(test) in modules}
            self._of_place.setdefault(place, set()).update(found)

    def for_mutant(self, mutant: Mutant) -> list[list[str]]:
        """The tests that run the mutant's function, or its module if it is in no function, up to BUDGET seconds. The
        tests of the module itself are the first part, because few modules are quick to import. Of the others, those of
        the same folder come first, then the fastest. If no test runs the
        function in its own process, the tests count that start others: those are not traced."""
        of_file = {
            int(place.rpartition(":")[2]): tests
            for place, tests in self._of_place.items()
            if place.startswith(mutant.path + ":")
        }
        tree = ast.parse((PROJECT / mutant.path).read_text())
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.Lambda)]
        around = [node for node in functions if node.lineno <= mutant.line <= (node.end_lineno or 0)]
        first = {min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))]) for node in around}
        traced = {test for line in first or of_file for test in of_file.get(line, set())}
        chosen = traced or {test for test in self._seconds if _starts_processes(_module(test))}
        path = Path(mutant.path)
        own, folder = f"tests/{path.parent}/test_{path.stem}.py", f"tests/{path.parent}/"
        chosen |= {test for test in self._seconds if _module(test) == own}

        def order(test: str) -> tuple[bool, bool, float]:
            return _module(test) != own, not test.startswith(folder), self._seconds[test]

        total, taken = 0.0, list[str]()
        for test in sorted(chosen, key=order):
            total += self._seconds[test]
            if taken and total > BUDGET:
                break
            taken.append(test)
        parts = [test for test in taken if _module(test) == own], [test for test in taken if _module(test) != own]
        return [part for part in parts if part]


def traced_tests(tree: Path) -> Tests:
    """Runs the fast tests once on a copy of the tree."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.support.trace", "-n", str(PROCESSES)]
    found = tree / "trace"
    found.mkdir()
    environment = {**os.environ, "TRACE": str(found)}
    subprocess.run(
        [*command, "-m", "not alone and not long"], cwd=tree, env=environment, check=False, stdout=subprocess.DEVNULL
    )
    return Tests(json.loads(file.read_text()) for file in sorted(found.iterdir()))


@lru_cache
def _starts_processes(module: str) -> bool:
    return re.search("served|subprocess|multiprocessing", (PROJECT / module).read_text()) is not None


def _module(test: str) -> str:
    return test.partition("::")[0]


def outcome(mutant: Mutant, parts: list[list[str]], tree: Path) -> tuple[str, str]:
    """Runs the tests, part after part, on a copy of the tree with the mutant. Returns killed, survived, timed out or an
    exit status that means none of these, and the first failure. A test that fails is run again alone; if it then
    passes, it failed by chance and the others decide. The copy is restored."""
    file = tree / mutant.path
    original, found, failure = file.read_text(), "survived", ""
    file.write_text(mutant.source)
    try:
        for part in parts:
            found, failure = _run(part, tree)
            if found == "killed" and (failed := _name(failure)) in part and _run([failed], tree)[0] == "survived":
                found, failure = _run([test for test in part if test != failed], tree)
            if found != "survived":
                break
        return found, failure
    finally:
        file.write_text(original)


def _run(tests: list[str], tree: Path) -> tuple[str, str]:
    """The outcome of these tests, and the first failure."""
    arguments, report = tree / "tests.txt", tree / "report.txt"
    arguments.write_text("\n".join(tests))
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", f"@{arguments}"]
    with report.open("w") as output:
        process = subprocess.Popen(command, cwd=tree, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        status = process.wait(MUTANT_SECONDS)
        failures = re.findall("^(?:FAILED|ERROR) tests/.*", report.read_text(), re.MULTILINE)
        # A mutant that cannot be imported stops the collection or pytest itself.
        named = {0: "survived", 1: "killed", 2: "killed", 3: "killed", 4: "killed"}
        return named.get(status, f"exit {status}"), failures[0] if failures else ""
    except subprocess.TimeoutExpired:
        return "timed out", ""
    finally:
        process.poll()
        _end(process)


def _name(failure: str) -> str:
    """The test of a line like `FAILED tests/test_x.py::test_y - the reason`."""
    return failure.partition(" ")[2].partition(" - ")[0]


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Kills a process and the others of its session."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, 9)
    process.wait()


def main(seed: int, count: int, first: int = 0) -> None:
    """Tests a sample of mutants and prints the report; it leaves out those before `first`."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        trees: Queue[Path] = Queue()
        for i in range(PROCESSES):
            trees.put(Path(shutil.copytree(PROJECT, Path(folder) / str(i), ignore=_COPIED, symlinks=True)))
        tests = traced_tests(Path(shutil.copytree(trees.queue[0], Path(folder) / "traced")))

        def tried(mutant: Mutant) -> str:
            tree = trees.get()
            try:
                found, failure = outcome(mutant, tests.for_mutant(mutant), tree)
            finally:
                trees.put(tree)
            _say(f"{found:10}{mutant}  {failure}".rstrip())
            return found

        with ThreadPoolExecutor(PROCESSES) as pool:
            found = list(pool.map(tried, sample(seed, count)[first:]))
    timed_out = found.count("timed out")
    _say(f"seed {seed}: {found.count('killed') + timed_out} of {len(found)} killed, {timed_out} by their time limit")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:] if len(sys.argv) > 2 else [*sys.argv[1:], "200"]))
