"""`python -m tests.chaos`: every fault, with long runs. Prints the table and writes it into docs/reliability.md. The
exit code is 1 if anything was lost, stored twice or wrong, or if a control was not caught."""

import json
import sys
import tempfile
import warnings
from dataclasses import asdict
from pathlib import Path

import click

from benchmarks import result
from benchmarks.machine import machine
from tests.chaos.cases import Case, cases
from tests.chaos.cluster import Cluster, cluster
from tests.chaos.outcome import LONG, SHORT, Outcome, Scale
from tests.chaos.table import table, written
from tests.support.passengers import PROJECT

_DOCUMENT = PROJECT / "docs" / "reliability.md"


@click.command()
@click.option("--only", default="", help="Only the faults whose names contain this text; the document is not changed.")
@click.option("--short", is_flag=True, help="Short runs, as in the tests; the document is not changed.")
def main(only: str, short: bool) -> None:
    """Inject every fault and count the losses."""
    warnings.simplefilter("ignore")
    outcomes: list[Outcome] = []
    before = machine()
    chosen = [case for case in cases(at_length=True) if only in case.name]
    if not chosen:
        raise click.UsageError(f"no fault has {only!r} in its name")
    with tempfile.TemporaryDirectory(prefix="chaos-") as scratch, cluster(Path(scratch) / "cluster") as running:
        for case in chosen:
            folder = Path(scratch) / case.name.replace(", ", "-")
            folder.mkdir()
            outcomes.append(_outcome(case, running, folder, SHORT if short else LONG))
            click.echo("\n".join(table([asdict(outcomes[-1])]).splitlines()[2:]))
    found = {"machine": before, "outcomes": [asdict(one) for one in outcomes]}
    click.echo("\n" + table(found["outcomes"]))  # type: ignore[arg-type]
    if not only and not short:
        stored = json.loads(result.write("chaos", found).read_text())
        _DOCUMENT.write_text(written(_DOCUMENT.read_text(), stored))
    sys.exit(0 if all(one.is_good for one in outcomes) else 1)


def _outcome(case: Case, running: Cluster, folder: Path, scale: Scale) -> Outcome:
    try:
        return case.run(running, folder, scale)
    except AssertionError as error:
        return Outcome(case.name, "-", 0, 0, 0, 0, 1, reasons={str(error).splitlines()[0]: 1})


if __name__ == "__main__":
    main()
