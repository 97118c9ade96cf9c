"""Whether the gate promotes what it should: `python -m benchmarks.learning.gate`. Models are fitted in simulated
worlds, the gate decides, and 100,000 fresh rows tell whether it was right."""

import sys
import time
from collections.abc import Callable
from typing import Any

import click
import numpy as np
from sklearn.linear_model import LogisticRegression

from benchmarks import result
from benchmarks.learning.worlds import FRESH, HOLD_OUT, World, brier, case, challenger, fitted
from benchmarks.machine import libraries, machine
from service.learning.gate.comparison import difference_of
from service.learning.gate.judge import judge
from service.learning.gate.levels import ALPHA, level

_STRENGTHS = (0.0, 0.3, 1.0)  # of the effects; at 0 the target is pure noise
_TRAINING = (200, 700)
_LOG = (1_000, 2_000)
_ATTEMPTS = 6
_NEW_LABELS = 1_000
_NEAR = 0.03


def unchanged(decisions: int, seed: int = 0) -> dict[str, Any]:
    """The world of the log is that of the training. A challenger has seen more rows or newer ones."""
    return _decisions(decisions, seed, noise=False)


def noise(decisions: int, seed: int = 0) -> dict[str, Any]:
    """The same world, but the labels that the challenger is fitted on are in random order."""
    return _decisions(decisions, seed, noise=True)


def repeated(sequences: int, seed: int = 0) -> dict[str, Any]:
    """In an unchanged world a new challenger is judged again and again, up to six times or until one is promoted. It is
    fitted on as many rows as the champion, so that half of the challengers are worse."""
    found = []
    for number in range(sequences):
        rng = np.random.default_rng((seed, number))
        world = World(float(rng.choice(_STRENGTHS)))
        champion = fitted(*world.rows(700, rng))
        verdicts = (_attempt(world, champion, attempt, rng) for attempt in range(1, _ATTEMPTS + 1))
        found.append(next((is_better for promoted, is_better in verdicts if promoted), None))
    promoted = [is_better for is_better in found if is_better is not None]
    return _counted(sequences, promoted) | {"attempts": _ATTEMPTS}


def flipped(worlds: int, seed: int = 0) -> dict[str, Any]:
    """The effect of one column flips, and 1,000 labels come back after that. The accuracy of the promoted model on
    fresh rows is compared with that of a model fitted on these 1,000 rows."""
    gaps = []
    for number in range(worlds):
        rng = np.random.default_rng((seed, number))
        world = World(1.0)
        base, old, new = world.rows(700, rng), world.rows(1_000, rng), world.after_flip().rows(_NEW_LABELS, rng)
        X, y = np.concatenate([old[0], new[0]]), np.concatenate([old[1], new[1]])
        champion, other = fitted(*base), challenger(base, X, y)
        if judge(case(champion, other, X, y)).outcome == "better":
            fresh = world.after_flip().rows(FRESH, rng)
            gaps.append(float(fitted(*new).score(*fresh) - other.score(*fresh)))
    return {
        "worlds": worlds,
        "labels": _NEW_LABELS,
        "promoted": len(gaps),
        "promoted_and_near": sum(gap <= _NEAR for gap in gaps),
        "median_gap": float(np.median(gaps)) if gaps else None,
        "largest_gap": max(gaps, default=None),
    }


def equal(decisions: int, attempt: int, seed: int = 0) -> dict[str, Any]:
    """Two models whose losses are equal in truth, compared without a margin: how often the whole interval is below 0,
    and how often above. Together they should be at most the level."""
    below = above = 0
    for number in range(decisions):
        rng = np.random.default_rng((seed, number))
        logit = rng.normal(size=HOLD_OUT) - rng.choice([0.0, 2.0])
        truth = rng.random(HOLD_OUT) < _sigmoid(logit)
        first, second = ((_sigmoid(logit + rng.normal(0, 0.5, HOLD_OUT)) - truth) ** 2 for _ in range(2))
        found = difference_of("binary", first, second, level(attempt))
        below, above = below + (found.high < 0), above + (found.low > 0)
    return {"decisions": decisions, "attempt": attempt, "level": level(attempt), "below": below, "above": above}


@click.command()
@click.option("--decisions", default=400, show_default=True, help="In an unchanged world, and against noise.")
@click.option("--sequences", default=100, show_default=True, help="Of up to six attempts each.")
@click.option("--worlds", default=100, show_default=True, help="That flip.")
@click.option("--equal", "equals", default=400, show_default=True, help="Comparisons of equal models, by attempt.")
def main(decisions: int, sequences: int, worlds: int, equals: int) -> None:
    """Simulate, and write the result as JSON. The exit code is 1 if more than 5 % of the decisions are false, or if
    fewer than 90 % of the flipped worlds have a promotion that comes near a model of the new world."""
    before = machine()
    simulations: dict[str, Callable[[], dict[str, Any]]] = {
        "unchanged": lambda: unchanged(decisions),
        "noise": lambda: noise(decisions),
        "repeated": lambda: repeated(sequences),
        "flipped": lambda: flipped(worlds),
        "equal, attempt 1": lambda: equal(equals, 1),
        "equal, attempt 3": lambda: equal(equals, 3),
    }
    found = {}
    for name, simulate in simulations.items():
        start = time.perf_counter()
        found[name] = simulate() | {"seconds": round(time.perf_counter() - start, 1)}
        click.echo(f"{name}: {found[name]}", err=True)
    content = {"machine": before, "versions": libraries({}), "settings": {"fresh_rows": FRESH}, "simulations": found}
    click.echo(f"Wrote {result.write('gate', content).name}")
    sys.exit(not _kept(found))


def _kept(found: dict[str, dict[str, Any]]) -> bool:
    false = all(found[name]["false"] <= ALPHA * found[name]["decisions"] for name in ("unchanged", "noise", "repeated"))
    return false and found["flipped"]["promoted_and_near"] >= 0.9 * found["flipped"]["worlds"]


def _decisions(decisions: int, seed: int, *, noise: bool) -> dict[str, Any]:
    promoted = []
    for number in range(decisions):
        rng = np.random.default_rng((seed, number))
        world = World(float(rng.choice(_STRENGTHS)))
        base = world.rows(int(rng.choice(_TRAINING)), rng)
        X, y = world.rows(int(rng.choice(_LOG)), rng)
        champion = fitted(*base)
        taught = np.concatenate([rng.permutation(y[:-HOLD_OUT]), y[-HOLD_OUT:]]) if noise else y
        other = challenger((base[0], rng.permutation(base[1])) if noise else base, X, taught)
        if judge(case(champion, other, X, y)).outcome == "better":
            promoted.append(_is_better(world, champion, other, rng))
    return _counted(decisions, promoted)


def _attempt(world: World, champion: LogisticRegression, attempt: int, rng: np.random.Generator) -> tuple[bool, bool]:
    """Whether a new challenger is promoted, and whether it is better."""
    other = fitted(*world.rows(700, rng))
    promoted = judge(case(champion, other, *world.rows(HOLD_OUT, rng), attempt)).outcome == "better"
    return promoted, promoted and _is_better(world, champion, other, rng)


def _is_better(world: World, champion: LogisticRegression, other: LogisticRegression, rng: np.random.Generator) -> bool:
    fresh = world.rows(FRESH, rng)
    return brier(other, *fresh) < brier(champion, *fresh)


def _counted(decisions: int, promoted: list[bool]) -> dict[str, Any]:
    return {"decisions": decisions, "promoted": len(promoted), "false": promoted.count(False)}


def _sigmoid(logit: Any) -> Any:
    return 1 / (1 + np.exp(-logit))


if __name__ == "__main__":
    main()
