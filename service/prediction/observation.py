"""An observation, parsed once at the edge: a JSON payload in, a typed `Observation` out, or all of its faults."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any, Literal, NotRequired, Required

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import to_json
from typing_extensions import TypedDict

from serialize.signature import Column, Scalar, Signature
from service.errors import LISTED_FAULTS, Fault, InvalidBody, pointer, shown

ObservationId = int | str

_ID_EXPECTED = "a 64-bit integer, or a string of 1 to 255 characters"
_MAX_ID_LENGTH = 255
_MAX_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Observation:
    """What is scored and stored: the caller's id, its canonical JSON `key` under which it is unique, the `values`
    by column in the signature's order (a missing one None), and these as canonical JSON `text`."""

    observation_id: ObservationId
    key: str
    values: Mapping[str, Scalar]
    text: str


class ObservationParser:
    """Turns payloads into observations by one pydantic model built from the signature."""

    def __init__(self, signature: Signature) -> None:
        self._columns = {column.name: column for column in signature}
        self._model = observation_model(signature)

    def parse(self, payload: Any) -> Observation:
        """`{"id": ..., "observation": {...}}` as an Observation. Raises InvalidBody with every fault there is."""
        members, faults = members_of(payload, ("id", "observation"))
        id_ = collect(faults, parse_id, members["id"]) if "id" in members else None
        values = collect(faults, self._values, members["observation"]) if "observation" in members else None
        if id_ is None or values is None or faults:
            raise InvalidBody(faults)
        return Observation(id_, key_of(id_), values, canonical(values))

    def _values(self, payload: Any) -> dict[str, Scalar]:
        if not isinstance(payload, dict):
            raise InvalidBody([self._fault_of_whole(payload)])
        if len(payload) > len(self._columns) + LISTED_FAULTS:
            payload = self._shortened(payload)
        try:
            validated = self._model.validate_python(payload)
        except ValidationError as error:
            raise InvalidBody(self._faults(error)) from None
        return {name: validated.get(name) for name in self._columns}

    def _shortened(self, payload: dict[str, Any]) -> dict[str, Any]:
        """The columns in an observation, and of its other members as many as are listed."""
        known = {name: payload[name] for name in self._columns if name in payload}
        others = islice((name for name in payload if name not in self._columns), LISTED_FAULTS)
        return known | {name: payload[name] for name in others}

    def _fault_of_whole(self, payload: Any) -> Fault:
        expected = "an object with the columns " + ", ".join(self._columns)
        return Fault("/observation", f"observation: expected {expected}; got {shown(payload)}", payload, expected)

    def _faults(self, error: ValidationError) -> list[Fault]:
        """The faults by column, in the order in which pydantic met them; a column is named once."""
        found: dict[str, Fault] = {}
        for entry in error.errors(include_url=False, include_context=False):
            name = str(entry["loc"][0])
            found.setdefault(name, self._fault(name, entry["type"], entry["input"]))
        return list(found.values())

    def _fault(self, name: str, kind: str, value: Any) -> Fault:
        place = pointer("observation", name)
        if name not in self._columns:
            expected = "one of the columns " + ", ".join(self._columns)
            return Fault(
                place, f"{name} is not a column of the model; it takes {', '.join(self._columns)}", value, expected
            )
        expected = self._columns[name].expected
        if kind == "missing":
            return Fault(place, f"{name} is missing; expected {expected}", None, expected)
        return Fault(place, f"{name}: expected {expected}; got {shown(value)}", value, expected)


def observation_model(signature: Signature) -> TypeAdapter[dict[str, Any]]:
    """The pydantic model of an observation: a typed dictionary with a key for every column and no other."""
    fields = {column.name: _field(column) for column in signature}
    make: Any = TypedDict
    model = make("Observation", fields, total=False)
    model.__pydantic_config__ = ConfigDict(extra="forbid", title="Observation")
    return TypeAdapter(model)


def parse_id(value: Any) -> ObservationId:
    """A caller's id: `1.0` is `1`, `1` is not `"1"`. Raises InvalidBody."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not (_is_id_integer(value) or _is_id_string(value)):
        raise InvalidBody([Fault("/id", f"id: expected {_ID_EXPECTED}; got {shown(value)}", value, _ID_EXPECTED)])
    id_: ObservationId = value
    return id_


def key_of(observation_id: ObservationId) -> str:
    """The id as canonical JSON, under which the log holds it unique."""
    return str(observation_id) if isinstance(observation_id, int) else canonical(observation_id)


def members_of(payload: Any, names: tuple[str, ...]) -> tuple[dict[str, Any], list[Fault]]:
    """The members of a payload that should be an object of exactly these, and a fault for each that is missing or
    too many, as far as they are listed. Raises InvalidBody where it is no object."""
    expected = "an object with the keys " + " and ".join(names)
    if not isinstance(payload, dict):
        raise InvalidBody([Fault("", f"expected {expected}; got {shown(payload)}", payload, expected)])
    faults = [
        Fault(pointer(key), f"{key} is not taken here; expected {expected}", payload[key], expected)
        for key in islice((key for key in payload if key not in names), LISTED_FAULTS)
    ]
    faults += [
        Fault(pointer(name), f"{name} is missing; expected {expected}", None, expected)
        for name in names
        if name not in payload
    ]
    return payload, faults


def collect(faults: list[Fault], parse: Any, value: Any) -> Any:
    """What `parse` makes of a value, or None with its faults added to the others."""
    try:
        return parse(value)
    except InvalidBody as error:
        faults.extend(error.faults)
        return None


def canonical(value: Any) -> str:
    """A value as canonical JSON: no spaces, characters as they are."""
    return to_json(value).decode()


def _is_id_integer(value: Any) -> bool:
    return isinstance(value, int) and -_MAX_ID - 1 <= value <= _MAX_ID


def _is_id_string(value: Any) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= _MAX_ID_LENGTH and _is_storable(value)


def _is_storable(text: str) -> bool:
    """Whether a database can hold the text: no NUL, no half of a surrogate pair."""
    return "\0" not in text and (text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text))


def _field(column: Column) -> Any:
    type_ = _type(column)
    return NotRequired[type_ | None] if column.nullable else Required[type_]


def _type(column: Column) -> Any:
    low, high = column.limits
    match column.kind:
        case "boolean":
            return Annotated[bool, Field(strict=True)]
        case "integer":
            return Annotated[int, BeforeValidator(_whole), Field(strict=True, ge=low, le=high)]
        case "number":
            return Annotated[float, Field(strict=True, allow_inf_nan=False, ge=low, le=high)]
        case "text":
            bounds = Field(strict=True, max_length=column.max_length)
            return Annotated[str, bounds, AfterValidator(_storable)]
        case "category":
            return _closed(column.categories or ())


def _closed(categories: tuple[Scalar, ...]) -> Any:
    if all(isinstance(value, str) for value in categories):
        return Literal[categories]
    if any(isinstance(value, float) for value in categories):
        return Annotated[float, Field(strict=True), AfterValidator(_member(categories))]
    if all(isinstance(value, bool) for value in categories):
        return Annotated[bool, Field(strict=True), AfterValidator(_member(categories))]
    return Annotated[Literal[categories], BeforeValidator(_whole)]


def _member(categories: tuple[Scalar, ...]) -> Any:
    known = frozenset(categories)

    def check(value: Scalar) -> Scalar:
        if value not in known:
            raise ValueError("not a category")
        return value

    return check


def _whole(value: Any) -> Any:
    """An integral float as the integer that it is; a boolean is no number."""
    if isinstance(value, bool):
        raise ValueError("a boolean")  # noqa: TRY004 - pydantic takes ValueError as a fault
    return int(value) if isinstance(value, float) and math.isfinite(value) and value.is_integer() else value


def _storable(text: str) -> str:
    if not _is_storable(text):
        raise ValueError("holds NUL or half of a surrogate pair")
    return text
