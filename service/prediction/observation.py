"""Parses a JSON payload into a typed `Observation`, or reports all of its faults."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any, Literal, NotRequired, Required

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import to_json
from typing_extensions import TypedDict

from serialize.formats.datetimes import Datetimes
from serialize.signature import Column, Scalar, Signature
from service.errors import LISTED_FAULTS, Fault, InvalidBody, pointer, shown

ObservationId = int | str

_ID_EXPECTED = "a 64-bit integer, or a string of 1 to 255 characters"
_EXACT_ID_EXPECTED = f"{_ID_EXPECTED}; an integer of 2**53 or more has no fraction and no exponent"
MAX_ID_LENGTH = 255
MAX_ID = 2**63 - 1
_OF_BOUNDS = ("greater_than_equal", "less_than_equal", "finite_number", "string_too_long")  # errors of pydantic
_LEAST_ROUNDED = 2.0**53  # floats from here on are rounded: 2**53 + 1 becomes 2**53


@dataclass(frozen=True, slots=True)
class Observation:
    """An observation to score and store. `key` is the caller's id as canonical JSON, unique in the log; `values` are in
    the signature's order, None if missing; `text` is the values as canonical JSON."""

    observation_id: ObservationId
    key: str
    values: Mapping[str, Scalar]
    text: str


class ObservationParser:
    """Parses payloads with a pydantic model built from the signature."""

    def __init__(self, signature: Signature) -> None:
        self._columns = {column.name: column for column in signature}
        self._model = observation_model(signature)

    def parse(self, payload: Any) -> Observation:
        """Parses `{"id": ..., "observation": {...}}`. Raises InvalidBody with all faults."""
        members, faults = members_of(payload, ("id", "observation"))
        id_ = collect(faults, parse_id, members["id"]) if "id" in members else None
        values = collect(faults, self.values, members["observation"]) if "observation" in members else None
        if id_ is None or values is None or faults:
            raise InvalidBody(faults)
        return Observation(id_, key_of(id_), values, canonical(values))

    def values(self, payload: Any) -> dict[str, Scalar]:
        """Parses the member `observation` of a payload: the values in the signature's order, None if missing. Raises
        InvalidBody with all faults."""
        if not isinstance(payload, dict):
            raise InvalidBody([self._fault_of_as_integer(payload)])
        if len(payload) > len(self._columns) + LISTED_FAULTS:
            raise InvalidBody(self._faults(payload))
        try:
            validated = self._model.validate_python(payload)
        except (ValidationError, UnicodeError):  # pydantic cannot report a key with a lone surrogate
            raise InvalidBody(self._faults(payload)) from None
        return {name: validated.get(name) for name in self._columns}

    def _fault_of_as_integer(self, payload: Any) -> Fault:
        expected = "an object with the columns " + ", ".join(self._columns)
        return Fault("/observation", f"observation: expected {expected}; got {shown(payload)}", payload, expected)

    def _faults(self, payload: dict[str, Any]) -> list[Fault]:
        """One fault for each wrong column, and then for each unknown one, of which at most LISTED_FAULTS are listed."""
        found: dict[str, Fault] = {}
        try:
            self._model.validate_python({name: payload[name] for name in self._columns if name in payload})
        except ValidationError as error:
            for entry in error.errors(include_url=False, include_context=False):
                name = str(entry["loc"][0])
                found.setdefault(name, self._fault(name, entry["type"], entry["input"]))
        unknown = islice((name for name in payload if name not in self._columns), LISTED_FAULTS)
        return [*found.values(), *(self._fault(name, "extra_forbidden", payload[name]) for name in unknown)]

    def _fault(self, name: str, kind: str, value: Any) -> Fault:
        place = pointer("observation", name)
        if name not in self._columns:
            expected = "one of the columns " + ", ".join(self._columns)
            detail = f"{name} is not a column of the model; expected {expected}"
            return Fault(place, detail, value, expected, "unknown column")
        expected = self._columns[name].expected
        if kind == "missing":
            return Fault(place, f"{name} is missing; expected {expected}", None, expected, "missing column")
        if isinstance(value, str) and not _is_storable(value):
            expected += ", without NUL characters and lone surrogates"
        return Fault(
            place, f"{name}: expected {expected}; got {shown(value)}", value, expected, self._kind(name, kind, value)
        )

    def _kind(self, name: str, kind: str, value: Any) -> str:
        """What the summary of many rows calls such a fault, from pydantic's kind of error."""
        if value is None:
            return "null"
        if self._columns[name].accepted == "category":
            return "category"
        return "bounds" if kind in _OF_BOUNDS else "type"


def observation_model(signature: Signature) -> TypeAdapter[dict[str, Any]]:
    """The pydantic model of an observation: a typed dictionary with exactly the columns as keys."""
    fields = {column.name: _field(column) for column in signature}
    make: Any = TypedDict
    model = make("Observation", fields, total=False)
    model.__pydantic_config__ = ConfigDict(extra="forbid", title="Observation")
    return TypeAdapter(model)


def value_parser(column: Column) -> Callable[[Any], Scalar]:
    """Parses the JSON value of one column, None for a missing one, as the model of the observation does. It raises
    ValidationError, and UnicodeError for some texts."""
    type_ = _type(column)
    return TypeAdapter(type_ | None if column.nullable else type_).validate_python


def parse_id(value: Any) -> ObservationId:
    """Parses a caller's id. `1.0` is the same id as `1`; `1` and `"1"` are two ids. A float from 2**53 on may have been
    rounded onto another id. Raises InvalidBody."""
    expected = _ID_EXPECTED
    if isinstance(value, float) and value.is_integer():
        if abs(value) < _LEAST_ROUNDED:
            value = int(value)
        else:
            expected = _EXACT_ID_EXPECTED
    if isinstance(value, bool) or not (_is_id_integer(value) or _is_id_string(value)):
        raise InvalidBody([Fault("/id", f"id: expected {expected}; got {shown(value)}", value, expected, "id")])
    id_: ObservationId = value
    return id_


def key_of(observation_id: ObservationId) -> str:
    """The id as canonical JSON, which is unique in the log."""
    return str(observation_id) if isinstance(observation_id, int) else canonical(observation_id)


def members_of(payload: Any, names: tuple[str, ...]) -> tuple[dict[str, Any], list[Fault]]:
    """The members of a payload that must be an object with exactly these names, and a fault for each missing or extra
    one, with at most LISTED_FAULTS extra ones. Raises InvalidBody if the payload is not an object."""
    expected = "an object with the keys " + " and ".join(names)
    if not isinstance(payload, dict):
        raise InvalidBody([Fault("", f"expected {expected}; got {shown(payload)}", payload, expected)])
    faults = [
        Fault(pointer(key), f"{key} is not an allowed key; expected {expected}", payload[key], expected)
        for key in islice((key for key in payload if key not in names), LISTED_FAULTS)
    ]
    faults += [
        Fault(pointer(name), f"{name} is missing; expected {expected}", None, expected)
        for name in names
        if name not in payload
    ]
    return payload, faults


def collect(faults: list[Fault], parse: Any, value: Any) -> Any:
    """The parsed value, or None after adding its faults to `faults`."""
    try:
        return parse(value)
    except InvalidBody as error:
        faults.extend(error.faults)
        return None


def canonical(value: Any) -> str:
    """A value as canonical JSON: no spaces, and characters not escaped."""
    return to_json(value).decode()


def _is_id_integer(value: Any) -> bool:
    return isinstance(value, int) and -MAX_ID - 1 <= value <= MAX_ID


def _is_id_string(value: Any) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= MAX_ID_LENGTH and _is_storable(value)


def _is_storable(text: str) -> bool:
    """Whether both databases can store the text: no NUL, no lone surrogate."""
    return "\0" not in text and (text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text))


def _field(column: Column) -> Any:
    type_ = _type(column)
    return NotRequired[type_ | None] if column.nullable else Required[type_]


def _type(column: Column) -> Any:
    if column.datetimes is not None:
        return Annotated[str, Field(strict=True), AfterValidator(_within(column.datetimes))]
    low, high = column.limits
    match column.accepted:
        case "boolean":
            return Annotated[bool, Field(strict=True)]
        case "integer":
            return Annotated[int, BeforeValidator(_as_integer), Field(strict=True, ge=low, le=high)]
        case "number":
            return Annotated[float, Field(strict=True, allow_inf_nan=False, ge=low, le=high)]
        case "text":
            bounds = Field(strict=True, max_length=column.max_length)
            return Annotated[str, bounds, AfterValidator(_storable)]
        case "category":
            return _category(column.categories or ())


def _category(categories: tuple[Scalar, ...]) -> Any:
    if all(isinstance(value, str) for value in categories):
        return Literal[categories]
    if any(isinstance(value, float) for value in categories):
        return Annotated[float, Field(strict=True), AfterValidator(_member(categories))]
    if all(isinstance(value, bool) for value in categories):
        return Annotated[bool, Field(strict=True), AfterValidator(_member(categories))]
    return Annotated[Literal[categories], BeforeValidator(_as_integer)]


def _member(categories: tuple[Scalar, ...]) -> Any:
    known = frozenset(categories)

    def check(value: Scalar) -> Scalar:
        if value not in known:
            raise ValueError("not a category")
        return value

    return check


def _within(datetimes: Datetimes) -> Any:
    least, greatest = datetimes.limits

    def check(text: str) -> str:
        if not least <= datetimes.nanoseconds(text) <= greatest:
            raise ValueError("beyond the limits")
        return text

    return check


def _as_integer(value: Any) -> Any:
    """Converts a float like 3.0 to an integer. Raises ValueError for a boolean."""
    if isinstance(value, bool):
        raise ValueError("a boolean")  # noqa: TRY004 - pydantic reports a ValueError as a fault
    return int(value) if isinstance(value, float) and math.isfinite(value) and value.is_integer() else value


def _storable(text: str) -> str:
    if not _is_storable(text):
        raise ValueError("contains NUL or a lone surrogate")
    return text
