"""The comparison: `python -m benchmarks`. This service beside what a user would write or pick instead, in one run.
`python -m benchmarks arrays` does the same for arrays."""

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from benchmarks import health, result
from benchmarks.arrays.command import arrays
from benchmarks.contenders import Contender, Model, constants, fastapi, naive, service, sqlite_url, with_traceparent
from benchmarks.forest import forest
from benchmarks.loads import open_loop
from benchmarks.loads.wrk import first_id, require_wrk
from benchmarks.machine import libraries, machine
from benchmarks.passengers import WrongAnswer, all_passengers
from benchmarks.peers.roster import PEERS, peer
from benchmarks.postgresql import postgresql
from benchmarks.report import comparison
from benchmarks.rounds import Measured, measure, templates_for, warm_up
from benchmarks.servers import NotStarted, serve
from benchmarks.venvs import python_of

_ON_SQLITE, _ON_POSTGRESQL, _BESIDE = "service-sqlite", "service-postgresql", "service-beside"


def _names(_: click.Context, __: click.Parameter, value: str) -> list[str]:
    names = [name.strip() for name in value.split(",") if name.strip()]
    unknown = [name for name in names if name not in PEERS]
    if unknown:
        raise click.BadParameter(f"{unknown[0]!r} is none of {', '.join(PEERS)}")
    return names


def _numbers(_: click.Context, __: click.Parameter, value: str) -> list[int]:
    try:
        numbers = [int(text) for text in value.split(",")]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 1:
        raise click.BadParameter("expected positive integers with commas between them")
    return numbers


@click.group(invoke_without_command=True)
@click.option("--seconds", default=10.0, show_default=True, help="How long each load lasts.")
@click.option("--rounds", default=3, show_default=True, help="How often each is measured; the medians count.")
@click.option("--connections", default="1,16,64", show_default=True, callback=_numbers, help="With commas between.")
@click.option("--peers", default="", callback=_names, help=f"Any of {','.join(PEERS)}.")
@click.option(
    "--scorer", type=click.Choice(["pipeline"]), help="Score with the pipeline though a compiled one is there."
)
@click.option("--forest", "with_forest", is_flag=True, help="Serve a random forest of 200 trees.")
@click.option("--postgres", is_flag=True, help="Measure the service on PostgreSQL too.")
@click.option(
    "--beside",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Another checkout whose service is measured too, as before a change.",
)
@click.pass_context
def main(
    context: click.Context,
    seconds: float,
    rounds: int,
    connections: list[int],
    peers: list[str],
    scorer: str | None,
    with_forest: bool,
    postgres: bool,
    beside: Path | None,
) -> None:
    """Measure the service beside others and write the result as JSON."""
    if context.invoked_subcommand is not None:
        _refuse_options(context)
        return
    require_wrk()
    before = machine()
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-model-")))
        model = forest(scratch / "forest") if with_forest else Model()
        own = [service(model, sqlite_url, _ON_SQLITE, scorer)]
        if postgres:
            own.append(service(model, stack.enter_context(postgresql()), _ON_POSTGRESQL, scorer))
        if beside:
            own.append(replace(service(model, sqlite_url, _BESIDE, scorer), folder=beside.resolve()))
        others = [peer(name, model) for name in peers]
        own_twice = [one for each in own for one in (each, with_traceparent(each))]
        contenders = [*own_twice, naive(model), fastapi(model, python_of("fastapi")), *constants(), *others]
        measured = measure(contenders, connections, seconds, rounds, _say)
        extras = {each.name: _extras(each, measured[each.name], max(connections), seconds) for each in own}
    found: dict[str, Any] = {
        "machine": before,
        "versions": libraries({name: python_of(name) for name in ("fastapi", *peers)}),
        "settings": {
            "seconds": seconds,
            "rounds": rounds,
            "connections": connections,
            "model": "forest of 200 trees" if with_forest else "titanic",
            "scorer": scorer or "default",
        },
        "contenders": {name: one.to_json() | extras.get(name, {}) for name, one in measured.items()},
    }
    path = result.write(_subject(with_forest, scorer), found)
    click.echo(comparison(result.newest(_subject(with_forest, scorer)) or found))
    click.echo(f"Wrote {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path.name}")


def _refuse_options(context: click.Context) -> None:
    """Raises UsageError where an option of the comparison stands before the name of another command."""
    for name in context.params:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"options of {context.invoked_subcommand} stand after its name")


def _extras(contender: Contender, found: Measured, connections: int, seconds: float) -> dict[str, Any]:
    """Of the service alone: latency of an open loop at half of saturation, and /livez under full load."""
    if found.failure is not None:
        return {}
    rate = found.saturation() / 2
    templates = [contender.template(observation) for observation in all_passengers()]
    try:
        with serve(contender) as server:
            file = templates_for(server)
            warm_up(server, file, connections)
            latency = open_loop.run(server.url, templates, rate, seconds, first_id())
            _say(f"{contender.name}, open loop at {rate:,.0f} requests/s: p99 {latency.p99_ms:.1f} ms")
            alive = health.while_loaded(server, file, connections, seconds)
    except (NotStarted, WrongAnswer) as error:
        _say(f"{contender.name}: {error}")
        return {"extras_failure": str(error)}
    return {"open_loop": asdict(latency), "livez": asdict(alive)}


def _subject(with_forest: bool, scorer: str | None) -> str:
    parts: Sequence[str | None] = ("comparison", "forest" if with_forest else None, scorer)
    return "-".join(part for part in parts if part)


def _say(text: str) -> None:
    click.echo(text, err=True)


main.add_command(arrays)

if __name__ == "__main__":
    main()
