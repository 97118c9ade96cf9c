"""The rows that a simulation plans, and how it sends them and asks for the reports, without a service."""

import json
import math
from functools import partial

import pytest

from serialize import load
from serialize.recipes import RECIPES
from service.cli import simulation
from service.cli.simulation import PlannedRow, Served
from service.client import Client
from service.demo import recipe_rows
from tests.support.passengers import ARTIFACTS
from tests.support.stand_in import Canned, stand_in


def planned(count: int, seed: int = 0, shifts: tuple[str, ...] = ()) -> list[PlannedRow]:
    manifest = load(ARTIFACTS).manifest
    served = Served(manifest.name, manifest.task, manifest.signature, None)
    source = partial(recipe_rows, RECIPES, served.name, served.task, served.signature)
    return simulation.rows(served, source, count, shifts=shifts, seed=seed, delay=2.0)


def test_ids_are_new_each_time_and_the_seed_determines_the_rest() -> None:
    one, same, other = planned(1400), planned(1400), planned(1400, seed=1)

    assert len({row.id for row in [*one, *same]}) == 2800
    assert [row.observation for row in one] == [row.observation for row in same]
    assert [row.observation for row in one] != [row.observation for row in other]
    assert all(row.delay is None or 0 <= row.delay <= 4 for row in one)
    assert 1200 < sum(row.delay is not None for row in one) < 1320


def test_a_source_that_is_too_small_is_repeated_in_another_order() -> None:
    size = len(RECIPES["titanic"]().X)
    found = [json.dumps(row.observation, sort_keys=True) for row in planned(2 * size)]

    assert found[:size] != found[size:]
    assert sorted(found[:size]) == sorted(found[size:])


def test_a_row_that_json_cannot_express_is_counted_and_the_others_are_sent() -> None:
    rows = [PlannedRow(id_, {"Age": age}, None, None) for id_, age in (("a", math.inf), ("b", 30.0))]
    answer = Canned(body={"id": 1, "observation_id": "b", "predicted_class": True, "proba": 0.5, "true_class": None})
    with stand_in(answer) as server, Client(server.url) as client:
        outcome = simulation.run(client, load(ARTIFACTS).manifest.task, rows, math.inf, lambda name, more: None)

    assert (outcome.sent, outcome.answered, outcome.refused) == (2, 1, 1)
    assert outcome.refusals == {"not sent": (1, "/observation/Age is inf, and JSON has no such value.")}
    assert [body["id"] for body in server.bodies] == ["b"]


@pytest.mark.parametrize(
    ("since", "query"), [(None, ""), ("2026-01-01T00:00:00+01:00", "?since=2026-01-01T00%3A00%3A00%2B01%3A00")]
)
def test_the_reports_are_on_the_predictions_since_a_time_or_on_all(since: str | None, query: str) -> None:
    answers = Canned(body={"count": 3}), Canned(status=422, body={"detail": "why"})
    with stand_in(*answers) as server, Client(server.url) as client:
        performance, drift = simulation.reports(client, since)

    assert [path for _, path, _, _ in server.requests] == [f"/performance{query}", f"/drift{query}"]
    assert (performance, drift) == ({"count": 3}, None)
