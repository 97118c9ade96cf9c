"""A row of the log with every value as JSON text, so that stored JSON is passed on unchanged."""

import json
import re
from collections.abc import Iterable
from typing import NamedTuple, Self

_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")

NULL = "null"


class LoggedRow(NamedTuple):
    """One stored prediction; each value is JSON text, `null` for none. The names are the columns of the table."""

    id: str
    observation_id: str
    observation: str
    proba: str
    probas: str
    predicted_class: str
    predicted_value: str
    threshold: str
    true_class: str
    true_value: str
    model_version: str
    created_at: str
    labelled_at: str

    @classmethod
    def of(cls, texts: Iterable[str]) -> Self:
        """The row of these texts, with real numbers in the shortest exact form."""
        row = cls(*texts)
        return row._replace(
            proba=_shortest(row.proba),
            predicted_value=_shortest(row.predicted_value),
            threshold=_shortest(row.threshold),
            true_value=_shortest(row.true_value),
        )

    def line(self) -> str:
        """The row as one line of ASCII JSON: the members of an /update response, then those of the log."""
        return in_ascii(f'{self._answer()},"observation":{self.observation},{self._origin()}}}')

    def line_with(self, corrections: Iterable[str]) -> str:
        """The same with the replaced labels, which are JSON objects."""
        return f'{self.line()[:-1]},"corrections":[{",".join(corrections)}]}}'

    def whole_line(self, corrections: Iterable[str]) -> str:
        """All columns in the order of the table, and the replaced labels."""
        members = ",".join(f'"{name}":{text}' for name, text in zip(self._fields, self, strict=True))
        return in_ascii(f'{{{members},"corrections":[{",".join(corrections)}]}}')

    def _answer(self) -> str:
        head = f'{{"id":{self.id},"observation_id":{self.observation_id}'
        if self.predicted_value != NULL:
            return f'{head},"predicted_value":{self.predicted_value},"true_value":{self.true_value}'
        head += f',"predicted_class":{self.predicted_class},"proba":{self.proba},"true_class":{self.true_class}'
        return head if self.probas == NULL else f'{head},"probas":{self.probas}'

    def _origin(self) -> str:
        return (
            f'"model_version":{self.model_version},"threshold":{self.threshold},'
            f'"created_at":{self.created_at},"labelled_at":{self.labelled_at}'
        )


def in_ascii(text: str) -> str:
    """JSON text as one line of ASCII: other characters occur only in strings, line breaks only between tokens."""
    if text.isascii() and text.isprintable():
        return text
    text = text.replace("\n", " ").replace("\r", " ")
    return _BEYOND_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], text)


def _shortest(text: str) -> str:
    return text if text == NULL else repr(float(text))
