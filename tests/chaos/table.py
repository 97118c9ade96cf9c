"""The table of `make chaos`, and its place in docs/reliability.md."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from benchmarks.result import file_name

_MARKED = re.compile(r"(<!-- chaos -->\n).*?(<!-- /chaos -->)", re.DOTALL)
_COLUMNS = ("fault", "database", "sent", "acknowledged", "lost", "duplicated", "wrong", "longest recovery, s")


def table(outcomes: Sequence[Mapping[str, Any]]) -> str:
    """One row per outcome, then a list of the other figures."""
    lines = [_row(*_COLUMNS), _row("---", "---", *["--:"] * 6)]
    lines += [_row(*_cells(one)) for one in outcomes]
    said = [sentence for one in outcomes if (sentence := _figures(one))]
    return "\n".join([*lines, "", *said]).rstrip()


def written(document: str, result: Mapping[str, Any]) -> str:
    """The document with the table of a result between its markers."""
    machine = result["machine"]
    name = file_name("chaos", datetime.fromisoformat(result["date"]))
    where = (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB. "
        f"Result file: `benchmarks/results/{name}`."
    )
    return _MARKED.sub(lambda marked: f"{marked[1]}{table(result['outcomes'])}\n\n{where}\n{marked[2]}", document)


def _cells(one: Mapping[str, Any]) -> list[str]:
    counts = [f"{one[name]:,}" for name in ("sent", "acknowledged", "lost", "duplicated", "wrong")]
    fault = one["fault"] if one["caught"] is None else f"{one['fault']} ({'caught' if one['caught'] else 'NOT CAUGHT'})"
    return [fault, one["database"], *counts, "-" if one["recovery"] is None else f"{one['recovery']:.2f}"]


def _figures(one: Mapping[str, Any]) -> str:
    shown = {name: value for name, value in one["figures"].items() if value}
    if not shown and not one["reasons"]:
        return ""
    figures = [
        f"{name.replace('_', ' ')} {value:,.{0 if float(value).is_integer() else 2}f}" for name, value in shown.items()
    ]
    figures += [f"WRONG: {reason} {count:,}" for reason, count in one["reasons"].items() if one["caught"] is None]
    return f"- {one['fault']} ({one['database']}): {', '.join(figures)}." if figures else ""


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
