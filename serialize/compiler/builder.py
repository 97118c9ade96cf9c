"""Builds a program step by step. Each instruction runs on the trial rows as soon as it is added, so that a candidate
for a step can be compared with what the step itself gives."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import joblib
import numpy as np
from scipy.sparse import csr_matrix, hstack, issparse

from serialize.compiler.runtime.native import Path, dense, step_at
from serialize.compiler.runtime.operations import operation
from serialize.compiler.runtime.program import Instruction, Program
from serialize.compiler.values import Array, Block, Coded, NoRule, Part, Parts, Raw, Terms, Value
from serialize.frame import Row, build_input
from serialize.model import Model

_TOLERANCE = 1e-10
_WIDEST = 10_000  # as a block, the terms of 8,192 rows take at most 650 MB


class Builder:
    """The instructions so far, and the values of all registers for the trial rows."""

    def __init__(self, model: Model, rows: Sequence[Row], trial: Sequence[Row]) -> None:
        """`rows` are the training rows, `trial` rows that the pipeline answers."""
        self.model, self.rows, self.trial = model, rows, trial
        self.values: list[Any] = [[row[name] for row in trial] for name in model.signature.names]
        self._instructions: list[Instruction] = []
        self._known: dict[Any, int] = {}

    def observation(self) -> Raw:
        """The whole observation, as the first step gets it."""
        signature = self.model.signature
        return Raw(signature.container, signature.columns, (), build_input(signature, self.trial))

    def column(self, name: str) -> int:
        """The register of a column."""
        return self.model.signature.names.index(name)

    def add(self, name: str, *inputs: int, **parameters: Any) -> int:
        """Adds an instruction, or finds the same one; returns its register. Raises what it raises for trial rows."""
        key = (name, inputs, tuple((key, _hashable(value)) for key, value in sorted(parameters.items())))
        if key in self._known:
            return self._known[key]
        function = operation(name, parameters, self.model.pipeline, self.model.signature)
        with np.errstate(all="ignore"):
            self.values.append(function(*(self.values[place] for place in inputs)))
        self._instructions.append(Instruction(name, inputs, parameters))
        self._known[key] = len(self.values) - 1
        return len(self.values) - 1

    def instruction(self, register: int) -> Instruction | None:
        """The instruction that gives a register, None for a column."""
        place = register - len(self.model.signature.names)
        return self._instructions[place] if place >= 0 else None

    def block(self, value: Parts) -> Block:
        """All columns of a value as one block."""
        registers = [self._register(part) for part in value.parts]
        if not registers:
            raise NoRule("There are no columns.")
        return Block(registers[0] if len(registers) == 1 else self.add("join", *registers), value.width)

    def chosen(self, value: Parts, places: Iterable[int], reference: Any = None) -> Parts:
        """The columns with these indices, in this order."""
        owners = [(part, place) for part in value.parts for place in range(part.width)]
        runs: list[tuple[Part, list[int]]] = []
        for part, place in (owners[index] for index in places):
            if runs and runs[-1][0] is part:
                runs[-1][1].append(place)
            else:
                runs.append((part, [place]))
        return Parts(tuple(self._columns(part, own) for part, own in runs), reference)

    def first(self, candidates: Iterable[Callable[[], Parts]], reference: Any) -> Parts:
        """The result of the first candidate that gives the reference for the trial rows. Raises NoRule if none does."""
        wanted = reference if issparse(reference) else _numbers(reference)
        reasons = []
        for candidate in candidates:
            mark, known = len(self.values), dict(self._known)
            try:
                found = candidate()
                if self._is_equal(found, wanted):
                    return Parts(found.parts, reference)
                reasons.append("It gives other numbers.")
            except Exception as error:  # noqa: BLE001 - a rule may meet any step, and a step any input
                reasons.append(f"{type(error).__name__}: {error}")
            del self.values[mark:], self._instructions[mark - len(self.model.signature.names) :]
            self._known = known
        raise NoRule(" ".join(reasons))

    def called(self, path: Path, method: str, value: Value) -> Any:
        """What a method of the pipeline's own step gives for the trial rows."""
        step = step_at(self.model.pipeline, path)
        with joblib.parallel_config(backend="sequential"):
            return getattr(step, method)(value.reference)

    def native(self, path: Path, method: str, value: Value) -> Iterable[Callable[[], Parts]]:
        """The step itself, over a plain array, over objects, over a sparse matrix and over a frame."""
        if isinstance(value, Raw):
            yield lambda: self._over_raw(path, method, value)
            return
        of_terms = any(isinstance(part, Terms) for part in value.parts)
        if issparse(value.reference) and of_terms:
            yield lambda: self._over_sparse(path, method, value)
        yield lambda: self.over_array(path, method, value)
        yield lambda: self._over(path, method, value, form="objects")
        if issparse(value.reference) and not of_terms:
            yield lambda: self._over_sparse(path, method, value)
        if hasattr(value.reference, "dtypes"):
            names, dtypes = list(value.reference.columns), list(map(str, value.reference.dtypes))
            is_one_array = len(set(dtypes)) == 1 and not value.reference.to_numpy().flags.writeable
            frame = {"names": names, "dtypes": dict(zip(names, dtypes, strict=True)), "is_one_array": is_one_array}
            yield lambda: self._over(path, method, value, form="frame", **frame)

    def over_array(self, path: Path, method: str, value: Parts) -> Parts:
        """A method of the step itself, over a plain array."""
        return self._over(path, method, value, form="array")

    def program(self, register: int) -> Program:
        """The program whose output is a register: the instructions that it needs, and no other."""
        columns = len(self.model.signature.names)
        needed = {register}
        for place in range(len(self._instructions) - 1, -1, -1):
            if place + columns in needed:
                needed.update(self._instructions[place].inputs)
        used = sorted(needed)
        place_of = {old: new for new, old in enumerate(used)}
        names = tuple(self.model.signature.names[old] for old in used if old < columns)
        kept = [self._instructions[old - columns] for old in used if old >= columns]
        instructions = [
            Instruction(one.operation, tuple(place_of[place] for place in one.inputs), one.parameters) for one in kept
        ]
        return Program(names, tuple(instructions), self.values[register].shape[1])

    def _over(self, path: Path, method: str, value: Parts, **form: Any) -> Parts:
        block = self.block(value)
        return self.parts(
            self.add("native", block.register, path=list(path), method=method, step=self._class(path), **form)
        )

    def _over_sparse(self, path: Path, method: str, value: Parts) -> Parts:
        registers = [part.register if isinstance(part, Terms) else self._register(part) for part in value.parts]
        places = [part.places if isinstance(part, Terms) and not part.is_whole else None for part in value.parts]
        given = {"path": list(path), "method": method, "step": self._class(path), "form": "sparse", "places": places}
        return self.parts(self.add("native", *registers, **given))

    def _over_raw(self, path: Path, method: str, value: Raw) -> Parts:
        names = [column.name for column in value.columns]
        links = [*value.links, {"path": list(path), "method": method}]
        given = {"container": value.container, "names": names, "links": links, "step": self._class(path)}
        if method != "transform" or not hasattr(step_at(self.model.pipeline, path), "build_analyzer"):
            return self.parts(self.add("native_raw", *map(self.column, names), **given))
        return self.terms(self.add("native_raw", *map(self.column, names), **given, sparse=True))

    def _class(self, path: Path) -> str:
        return type(step_at(self.model.pipeline, path)).__name__

    def parts(self, register: int) -> Parts:
        """A register with a block as a value."""
        return Parts((Block(register, self.values[register].shape[1]),), None)

    def terms(self, register: int) -> Parts:
        """A register with the terms of texts as a value."""
        known = self.values[register].width
        return Parts((Terms(register, np.arange(known), known),), None)

    def _register(self, part: Part) -> int:
        if isinstance(part, Coded):
            return self.add("take", part.register, table=part.table)
        if isinstance(part, Block):
            return part.register
        if part.width > _WIDEST:
            raise NoRule(f"A text has {part.width:,} terms.")
        return self.add("terms_as_block", part.register, width=part.known, chosen=part.places)

    def _columns(self, part: Part, places: list[int]) -> Part:
        if places == list(range(part.width)):
            return part
        if isinstance(part, Coded):
            return Coded(part.register, part.table[:, places])
        if isinstance(part, Terms):
            if len(set(places)) < len(places):
                raise NoRule("A term is chosen twice.")
            return Terms(part.register, part.places[places], part.known)
        return Block(self.add("columns", part.register, places=places), len(places))

    def _is_equal(self, value: Parts, wanted: Any) -> bool:
        if issparse(wanted):
            if any(isinstance(part, Terms) for part in value.parts):
                return self._is_equal_sparse(value, csr_matrix(wanted, dtype=np.float64))
            wanted = dense(wanted)
        found = np.asarray(self.values[self.block(value).register], dtype=np.float64)
        return found.shape == wanted.shape and bool(
            np.allclose(found, wanted, rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True)
        )

    def _is_equal_sparse(self, value: Parts, wanted: Any) -> bool:
        found = csr_matrix(hstack([self._sparse(part) for part in value.parts]))
        if found.shape != wanted.shape:
            return False
        found.data, wanted.data = (np.nan_to_num(each.data, nan=-1e300) for each in (found, wanted))
        return bool((abs(found - wanted) - _TOLERANCE * abs(wanted)).max() <= _TOLERANCE)

    def _sparse(self, part: Part) -> Any:
        if isinstance(part, Terms):
            return self.values[part.register].matrix()[:, part.places]
        return csr_matrix(self.values[self._register(part)], dtype=np.float64)


def _numbers(reference: Any) -> Array:
    try:
        return dense(reference).astype(np.float64)
    except (TypeError, ValueError) as error:
        raise NoRule("The step gives no numbers.") from error


def _hashable(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return (value.shape, value.dtype.str, value.tobytes())
    if isinstance(value, list | tuple):
        return tuple(map(_hashable, value))
    if isinstance(value, dict):
        return tuple((key, _hashable(each)) for key, each in value.items())
    return (type(value).__name__, value)
