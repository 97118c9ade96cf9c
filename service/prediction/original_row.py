"""Parses a row of the original app's table. The command `import` and the first migration both use this module, so
that they take over the same rows and refuse the same rows."""

import json
from ast import literal_eval
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Self

from pydantic_core import from_json

from service.errors import InvalidBody
from service.prediction.observation import Observation, ObservationId, canonical, key_of, parse_id

ORIGINAL_THRESHOLD = 0.5

_BODY = {"id", "observation"}


class RefusedRow(ValueError):
    """The row cannot become a row of the log. The message is the reason, one of a few fixed texts."""


@dataclass(frozen=True, slots=True)
class OriginalRow:
    """A row that the log can hold. `true_class` says whether the true class is the positive one, and is None without a
    label. `created_at` is None if the row does not tell it."""

    observation: Observation
    proba: float
    true_class: bool | None
    created_at: datetime | None

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Parses the values of a row by column; `created_at` may be missing. Raises RefusedRow."""
        values = {name: _number(value) for name, value in values.items()}
        return cls(
            _observation(values["observation_id"], values["observation"]),
            _proba(values["proba"]),
            _true_class(values["true_class"]),
            _moment(values.get("created_at")),
        )

    def has_same_observation(self, text: str) -> bool:
        """Whether a stored text is this observation; a missing value counts as null."""
        return text == self.observation.text or _present(json.loads(text)) == _present(self.observation.values)


def _number(value: Any) -> Any:
    """A numeric of PostgreSQL as a number of Python; any other value as it is."""
    if not isinstance(value, Decimal):
        return value
    return int(value) if value.is_finite() and value == value.to_integral_value() else float(value)


def _observation(observation_id: Any, stored: Any) -> Observation:
    id_ = _id(observation_id)
    if stored is None:
        raise RefusedRow("observation is null")
    values = _parsed(stored)
    if not isinstance(values, dict):
        raise RefusedRow("observation is not a JSON object")
    if values.keys() >= _BODY and isinstance(values["observation"], dict):
        values = values["observation"]  # the original app stores the whole body of the request
    return Observation(id_, key_of(id_), values, _text(values))


def _id(value: Any) -> ObservationId:
    try:
        if isinstance(value, int | float | str):
            return parse_id(value)
    except InvalidBody:
        pass
    raise RefusedRow("observation_id is not an integer or a text of 1 to 255 characters")


def _parsed(stored: Any) -> Any:
    try:
        return from_json(stored, allow_inf_nan=False)
    except (ValueError, TypeError):
        pass
    try:
        return json.loads(stored, parse_constant=_null_for_nan)
    except (ValueError, TypeError, RecursionError):
        pass
    try:
        # Some copies of the original app store the dict as Python writes it.
        return json.loads(json.dumps(literal_eval(stored), allow_nan=False))
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        raise RefusedRow("observation is not JSON") from None


def _null_for_nan(constant: str) -> None:
    """The original app accepts NaN, and pandas reads it as a missing value."""
    if constant != "NaN":
        raise ValueError(constant)


def _text(values: dict[str, Any]) -> str:
    """The canonical JSON of an observation that both databases can store and query."""
    try:
        text = canonical(values)
        if "Infinity" in text:
            from_json(text, allow_inf_nan=False)  # a number such as 1e999; in a string it is only a word
    except ValueError:
        raise RefusedRow("observation contains a number or a character that cannot be stored") from None
    if "\\u0000" in text and "\\u0000" in text.replace("\\\\", ""):
        raise RefusedRow("observation contains a number or a character that cannot be stored")
    return text


def _proba(value: Any) -> float:
    if value is None:
        raise RefusedRow("proba is null")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise RefusedRow("proba is not a number from 0 to 1")
    return float(value)


def _true_class(value: Any) -> bool | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or value not in (0, 1):
        raise RefusedRow("true_class is not 0, 1 or null")
    return bool(value)


def _moment(value: Any) -> datetime | None:
    """A time; without a zone it is UTC."""
    if value is None:
        return None
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        raise RefusedRow("created_at is not a time in ISO 8601") from None


def _present(observation: Any) -> Any:
    if not isinstance(observation, Mapping):
        return observation
    return {name: value for name, value in observation.items() if value is not None}
