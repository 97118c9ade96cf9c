"""Mutation testing on a sample: changes one place of the code at a time, and checks that a test fails.

`python -m tests.support.mutants SEED [N]` draws N mutants of service/ and serialize/. The same seed and code give the
same mutants. The mutants run in temporary copies; the checkout does not change. A mutant is killed if a test fails, and
survives if all tests that run its function pass."""

import ast
import copy
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

PROJECT = Path(__file__).parents[2]
MUTATED = ("service", "serialize")
PROCESSES = 2
MUTANT_SECONDS = 300

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
    changed, returned values replaced by None, and statements removed. Annotations and docstrings stay."""
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
            if isinstance(node, ast.AST) and not _is_text(node):
                if isinstance(node, ast.expr | ast.stmt):
                    yield node
                if not isinstance(node, ast.JoinedStr):  # the parts of an f-string have no positions before 3.12
                    yield from _nodes(node)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


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


def functions_of_tests(tree: Path) -> dict[str, list[str]]:
    """Runs all tests once. Returns the test modules that ran each function, by `path:line`."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.support.trace", "-n", str(PROCESSES)]
    found = tree / "trace"
    found.mkdir()
    environment = {**os.environ, "TRACE": str(found)}
    subprocess.run([*command, "-m", "not alone"], cwd=tree, env=environment, check=False, stdout=subprocess.DEVNULL)
    places: dict[str, set[str]] = {}
    for file in found.iterdir():
        for module, ran in json.loads(file.read_text()).items():
            for place in ran:
                places.setdefault(place, set()).add(module)
    return {place: sorted(modules) for place, modules in places.items()}


def tests_for(mutant: Mutant, places: dict[str, list[str]]) -> list[str]:
    """The test modules that ran the mutant's function, or its module if it is in no function. The module's own test
    comes first. If none ran it, all of them: code in other processes is not traced."""
    of_file = {
        int(place.rpartition(":")[2]): modules
        for place, modules in places.items()
        if place.startswith(mutant.path + ":")
    }
    tree = ast.parse((PROJECT / mutant.path).read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.Lambda)]
    around = [node for node in functions if node.lineno <= mutant.line <= (node.end_lineno or 0)]
    first = {min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))]) for node in around}
    chosen = {module for line in first or of_file for module in of_file.get(line, [])}
    named = f"test_{Path(mutant.path).stem}.py"
    every = {str(file.relative_to(PROJECT)) for file in (PROJECT / "tests").rglob("test_*.py")}
    own = {module for module in every if module.endswith("/" + named)}
    return sorted(own) + sorted((chosen or every) - own)


def outcome(mutant: Mutant, tests: list[str], tree: Path) -> str:
    """Runs the tests on a copy of the tree with the mutant: killed, survived or timed out. The copy is restored."""
    file = tree / mutant.path
    original = file.read_text()
    file.write_text(mutant.source)
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", "not alone", *tests]
    process = subprocess.Popen(
        command, cwd=tree, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        return "survived" if process.wait(MUTANT_SECONDS) in (0, 5) else "killed"
    except subprocess.TimeoutExpired:
        return "timed out"
    finally:
        process.poll()
        _end(process)
        file.write_text(original)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Kills a process and the others of its session."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, 9)
    process.wait()


def main(seed: int, count: int) -> None:
    """Tests a sample of mutants and prints the report."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        trees: Queue[Path] = Queue()
        for i in range(PROCESSES):
            trees.put(Path(shutil.copytree(PROJECT, Path(folder) / str(i), ignore=_COPIED, symlinks=True)))
        traced = Path(shutil.copytree(trees.queue[0], Path(folder) / "traced"))
        places = functions_of_tests(traced)

        def tried(mutant: Mutant) -> str:
            tree = trees.get()
            try:
                found = outcome(mutant, tests_for(mutant, places), tree)
            finally:
                trees.put(tree)
            _say(f"{found:10}{mutant}")
            return found

        with ThreadPoolExecutor(PROCESSES) as pool:
            found = list(pool.map(tried, sample(seed, count)))
    killed = len(found) - found.count("survived")
    _say(f"seed {seed}: {killed} of {len(found)} killed, {found.count('timed out')} of them by their time limit")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*map(int, [*sys.argv[1:], "200"][:2]))
