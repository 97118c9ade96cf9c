"""The command `python -m service retrain`. A process of its own does the work, with the lowest priority and limited
memory, and reports in lines of JSON; this process shows them."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import click
from peewee import PeeweeException
from rich.console import Console
from rich.table import Column, Table

from serialize.display.progress import Progress
from service.cli.options import OwnData, data_options
from service.learning.pace import Pace
from service.learning.process import end
from service.settings import Settings, SettingsError
from service.storage.connection import DatabaseError, database_of
from service.storage.learning.growth import newest_row
from service.storage.migrate import require_log
from service.storage.session import Session

_COMMAND = (sys.executable, "-m", "service.cli.retrain_process")
_POLL_SECONDS = 0.1


@click.command()
@click.option("--window", metavar="N|DAYS", help="The newest rows, as a candidate: 500 are rows, 14d are days.")
@click.option("--max-rows", type=click.IntRange(1), help="Read at most the newest rows.  [default: 100000]")
@click.option(
    "--holdout", type=click.IntRange(1), metavar="N", help="Rows that judge.  [default: by the number of rows]"
)
@click.option("--ids", metavar="PREFIX", help="Only rows whose id begins with this.")
@click.option("--since", help="Only predictions made from this time on (ISO 8601).")
@click.option("--until", help="Only predictions made before this time.")
@data_options
@click.option("--cluster", metavar="COLUMN", help="Rows with one value of this column belong together.")
@click.option("--guard", multiple=True, metavar="COLUMN", help="No group of it may get worse; may be repeated.")
@click.option("--promote", is_flag=True, help="Make the challenger the champion if the gate finds it better.")
@click.option("--dry-run", is_flag=True, help="Store nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def retrain(data: Path | None, target: str | None, sep: str, encoding: str, as_json: bool, **options: Any) -> None:
    """Fit the champion's pipeline again on its training data and the labelled rows of the log, and judge the result.

    The newest labelled rows, which no model was trained on, decide whether the challenger is better than the champion.
    It is stored with the verdict; `promote VERSION` or --promote makes it the champion. --data adds labelled rows of
    your own, with their labels in --target."""
    own = OwnData(data, target, sep, encoding)
    if own.path is not None and own.target is None:
        raise click.UsageError("--data needs the column of the true classes or values; give it with --target.")
    file = None if own.path is None else [str(own.path), target, sep, encoding]
    result = _run({**options, "guard": list(options["guard"])}, file)
    if as_json:
        click.echo(json.dumps(result))
    else:
        show(result, Console(markup=False, highlight=False))


def _run(arguments: dict[str, Any], file: list[str | None] | None) -> dict[str, Any]:
    """The result of the work. Raises ClickException with its error."""
    command = [*_COMMAND, json.dumps({"arguments": arguments, "file": file}), str(os.getpid())]
    last: dict[str, Any] = {}
    with _log() as session, tempfile.TemporaryFile() as errors, Progress() as progress:
        # A session of its own, so that it can be paced; so Ctrl-C in a terminal reaches only this process.
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, start_new_session=True
        )
        try:
            for line in _lines(process, Pace(process, lambda: session.watch(lambda: newest_row(session.database)))):
                last = json.loads(line)
                if "share" in last:
                    progress.at(last["share"], last["sentence"])
        finally:
            end(process)
        errors.seek(0)
        lines = errors.read().decode(errors="replace").strip().splitlines()
    if "result" in last:
        result: dict[str, Any] = last["result"]
        return result
    ended = f"The process that retrains ended with status {process.returncode}, perhaps for lack of memory."
    raise click.ClickException(last.get("error") or " ".join([ended, *lines[-1:]]))


@contextmanager
def _log() -> Iterator[Session]:
    """A session of the log. This process imports no part of the registry, which takes a second: it has no low priority,
    and the service may be busy."""
    try:
        session = Session(require_log(database_of(Settings.from_env())))
    except (SettingsError, DatabaseError, PeeweeException, OSError) as error:
        raise click.ClickException(str(error)) from error
    with closing(session):
        yield session


def _lines(process: "subprocess.Popen[bytes]", pace: Pace) -> Iterator[bytes]:
    """The lines that a process writes until it ends."""
    assert process.stdout is not None
    with process.stdout as output:
        os.set_blocking(output.fileno(), False)
        begun, has_ended = b"", False
        while not has_ended:
            has_ended = pace.wait(_POLL_SECONDS)
            *lines, begun = (begun + (output.read() or b"")).split(b"\n")
            yield from lines


def show(result: dict[str, Any], console: Console) -> None:
    """Prints the candidates, the figures of both models, and what came of it."""
    verdict = result["verdict"]
    if verdict["candidates"]:
        console.print(_candidates(verdict))
    if verdict["figures"]:
        console.print(_figures(verdict["figures"]))
    for sentence in _sentences(result):
        console.print(sentence, soft_wrap=True)


def _sentences(result: dict[str, Any]) -> Iterator[str]:
    verdict = result["verdict"]
    for each in verdict["figures"].get("coverage", ()):
        share = "" if each["share"] is None else f" ({each['share']:.0%})"
        predicted = json.dumps(each["predicted_class"])
        yield f"Predicted {predicted}: {each['labelled']:,} of {each['all']:,} rows have a label{share}."
    rows = verdict["rows"]
    yield (
        f"{rows['labelled']:,} labelled rows: {rows['training']:,} to learn from, {rows['choosing']:,} to choose the "
        f"candidate, {rows['holdout']:,} to judge; {rows['too_young']:,} are too young."
    )
    for reason, count in {**rows["left_out"], **rows["left_out_of_holdout"], **rows["own_left_out"]}.items():
        yield f"Left out: {count:,} rows ({reason})."
    yield f"Verdict: {result['outcome']}. {result['message']}"


def _candidates(verdict: dict[str, Any]) -> Table:
    table = Table("candidate", Column("rows", justify="right"), Column("loss", justify="right"), "")
    for each in verdict["candidates"]:
        is_chosen = each["name"] == verdict["candidate"]
        remark = "chosen" if is_chosen else each["skipped"] or ""
        table.add_row(each["name"], _number(each["rows"]), _number(each["loss"]), remark)
    return table


def _figures(figures: dict[str, Any]) -> Table:
    right = [Column(name, justify="right") for name in ("champion", "challenger", "difference")]
    table = Table(f"on {figures['rows']:,} rows", *right)
    interval = f"{_number(figures['difference'])} ({_number(figures['low'])} to {_number(figures['high'])})"
    name = figures["loss"].replace("_", " ")
    table.add_row(name, _number(figures["champion"]), _number(figures["challenger"]), interval)
    for measure in ("log_loss", "expected_calibration_error", "predicted_positive"):
        both = figures[measure]
        if both["champion"] is not None:
            shown = [_number(both[model]) for model in ("champion", "challenger")]
            table.add_row(measure.replace("_", " "), *shown, "")
    for group in figures["guards"]:
        worse = "worse" if group["is_worse"] else "not worse"
        table.add_row(f"{group['column']} = {group['value']}", "", "", f"{_number(group['difference'])} ({worse})")
    return table


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
