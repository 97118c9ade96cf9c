"""Rounds of arrays: all servers are started anew and loaded in turn at each shape, so that what changes on the machine
meets all of them alike. The medians of the rounds count, and the medians of the ratios within a round."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Self

import psycopg

from benchmarks.arrays.contenders import OURS, ArrayContender
from benchmarks.loads import wrk
from benchmarks.loads.wrk import Expected
from benchmarks.passengers import WrongAnswer
from benchmarks.rounds import warm_up
from benchmarks.servers import Server, serve

_ARRAYS = 20


@dataclass(frozen=True, slots=True)
class Shape:
    """How many items an array has, and on how many connections arrays come; as text, 1000x4."""

    items: int
    connections: int

    @classmethod
    def parsed(cls, text: str) -> Self:
        """The shape that a text says. Raises ValueError."""
        items, connections = map(int, text.split("x"))
        if items < 1 or connections < 1:
            raise ValueError(f"{text} is no shape")
        return cls(items, connections)

    def __str__(self) -> str:
        return f"{self.items}x{self.connections}"


@dataclass(frozen=True, slots=True)
class ArrayLoad:
    """What one load of arrays gave: items that were answered right, items a second, microseconds of processor time an
    item of all processes of the server, without those of PostgreSQL, and milliseconds until an array was answered."""

    items: int
    per_second: float
    cpu_us: float
    p50_ms: float
    p99_ms: float


Loads = dict[str, list[ArrayLoad]]
Say = Callable[[str], None]


def measure(
    contenders: Sequence[ArrayContender], shapes: Sequence[Shape], seconds: float, rounds: int, say: Say
) -> dict[str, Loads]:
    """The loads of each contender by its name and the shape, one a round. Raises NotStarted, and WrongAnswer where an
    answer is wrong or fewer items are stored than were answered."""
    found: dict[str, Loads] = {each.server.name: {str(shape): [] for shape in shapes} for each in contenders}
    for number in range(1, rounds + 1):
        say(f"Round {number} of {rounds}")
        with ExitStack() as stack:
            running = [(each, stack.enter_context(serve(each.server))) for each in contenders]
            for each, server in running:
                _write_arrays(each, server, shapes)
                warm_up(server, server.folder / f"{shapes[0].items}.txt", shapes[0].connections)
            for shape in shapes:
                for each, server in running:
                    one = load(each, server, shape, seconds)
                    found[server.contender.name][str(shape)].append(one)
                    say(f"{server.contender.name}, {shape}: {one.per_second:,.0f} items/s, {one.cpu_us:.1f} us CPU")
            for _, server in running:
                loads = found[server.contender.name].values()
                require_stored(server.variables.get("DATABASE_URL"), sum(of_shape[-1].items for of_shape in loads))
    return found


def load(contender: ArrayContender, server: Server, shape: Shape, seconds: float) -> ArrayLoad:
    """Loads a server whose folder has the templates of the shape. Raises WrongAnswer."""
    expected = Expected(contender.member, contender.server.expected, shape.items)
    before = server.cpu_seconds()
    templates = server.folder / f"{shape.items}.txt"
    one = wrk.run(server.url, templates, shape.connections, seconds, server.check, expected=expected)
    items = one.requests * shape.items
    cpu_us = (server.cpu_seconds() - before) / items * 1e6
    return ArrayLoad(items, one.per_second * shape.items, cpu_us, one.p50_ms, one.p99_ms)


def require_stored(database_url: str | None, items: int) -> None:
    """Raises WrongAnswer where the database of a server has fewer rows than items were answered. A server without a
    database passes."""
    if database_url is None:
        return
    stored = _rows(database_url)
    if stored < items:
        raise WrongAnswer(f"{items} items were answered and {stored} are stored")


def to_json(measured: Mapping[str, Loads]) -> dict[str, Any]:
    """By contender and shape: the medians, and the median of the ratios of the service's items a second to the
    contender's; with all rounds."""
    return {
        name: {
            "median": {shape: _median(of_shape, measured[OURS][shape]) for shape, of_shape in loads.items()},
            "rounds": {shape: [asdict(one) for one in of_shape] for shape, of_shape in loads.items()},
        }
        for name, loads in measured.items()
    }


def _median(loads: Sequence[ArrayLoad], ours: Sequence[ArrayLoad]) -> dict[str, float]:
    figures = ("per_second", "cpu_us", "p50_ms", "p99_ms")
    return {
        **{name: median(getattr(one, name) for one in loads) for name in figures},
        "ratio": median(own.per_second / one.per_second for own, one in zip(ours, loads, strict=True)),
    }


def _write_arrays(contender: ArrayContender, server: Server, shapes: Sequence[Shape]) -> None:
    for items in {shape.items for shape in shapes}:
        contender.write_arrays(server.folder / f"{items}.txt", items, _ARRAYS)


def _rows(database_url: str) -> int:
    count = "SELECT count(*) FROM prediction"
    if database_url.startswith("sqlite:///"):
        with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"))) as database:
            return int(database.execute(count).fetchone()[0])
    with psycopg.connect(database_url) as connection:
        (rows,) = connection.execute(count).fetchone() or (0,)
        return int(rows)
