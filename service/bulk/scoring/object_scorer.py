"""Scores the lines of NDJSON. A line is an object with the columns of the observation, and perhaps others, or an object
with an `id` and an `observation`, as POST /predict takes it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from serialize.signature import Signature
from service.bulk.rejects import malformed_line
from service.bulk.scoring.json_column import json_column
from service.bulk.scoring.layout import Layout
from service.bulk.scoring.observed_rows import ObservedRows
from service.bulk.scoring.scored import ScoreArrays, ScoredBatch
from service.errors import Fault, InvalidBody, MalformedBody
from service.prediction.observation import Observation, ObservationParser, collect, parse_id
from service.prediction.scoring import Scorer
from service.prediction.strict_json import decode

_OBSERVATION = "observation"


class _Item(NamedTuple):
    """A line that was taken apart: the id, and the observation or None if it has a fault."""

    id: Any
    values: Mapping[str, Any] | None
    kept: Sequence[Any]


class ObjectScorer:
    """Scores lines of NDJSON with one layout."""

    def __init__(self, signature: Signature, scorer: Scorer, layout: Layout) -> None:
        self._names = frozenset(signature.names)
        self._parser = ObservationParser(signature)
        self._scorer = scorer
        self._layout = layout
        self._others = {layout.id, *layout.kept} - self._names
        self._may_be_item = layout.id is None and _OBSERVATION not in self._names

    def score(self, lines: Sequence[bytes]) -> ScoredBatch:
        """Scores n lines. The exceptions are those of the model that no line causes."""
        faults: dict[int, list[Fault]] = {}
        items: dict[int, _Item] = {}
        for place, line in enumerate(lines):
            try:
                items[place] = self._item(decode(line))
            except InvalidBody as error:
                faults[place] = list(error.faults)
            except MalformedBody as error:
                faults[place] = [malformed_line(line, error)]
        scores = ScoreArrays.empty(len(lines), self._scorer.task)
        observations = [Observation(0, "0", item.values or {}, "") for item in items.values()]
        faults |= scores.set_each(items, self._scorer.score_apart(observations), self._scorer.task)
        places = [place for place in items if place not in faults]
        found = [items[place] for place in places]
        columns = {name: json_column([item.kept[i] for item in found]) for i, name in enumerate(self._layout.kept)}
        has_ids = self._layout.id is not None or any(item.id is not None for item in found)
        ids = json_column([item.id for item in found]) if has_ids else None
        observed = ObservedRows({}, {place: item.values or {} for place, item in items.items()})
        return ScoredBatch(np.array(places, dtype=np.intp), ids, scores.at(places), faults, columns, observed)

    def _item(self, payload: Any) -> _Item:
        """Takes a line apart. Raises InvalidBody with all faults."""
        if self._may_be_item and isinstance(payload, dict) and _OBSERVATION in payload:
            observation = self._parser.parse(payload)
            return _Item(observation.observation_id, observation.values, [None] * len(self._layout.kept))
        if not isinstance(payload, dict):
            self._parser.values(payload)  # which says what is expected
        faults: list[Fault] = []
        id_ = None
        if self._layout.id is not None:
            id_ = collect(faults, parse_id, payload.get(self._layout.id))
        values = {name: value for name, value in payload.items() if name not in self._others}
        parsed = collect(faults, self._parser.values, values)
        if faults:
            raise InvalidBody(faults)
        return _Item(id_, parsed, [payload.get(name) for name in self._layout.kept])
