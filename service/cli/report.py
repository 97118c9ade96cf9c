"""`python -m service report`: makes the report on the log, prints a summary and writes it. It reads the manifest and
does not load the model."""

from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from serialize.content import read_content
from service.cli.compare import described
from service.errors import InvalidQuery
from service.export.atomic_file import new_file
from service.learning.comparison import comparison
from service.learning.shadow import targets
from service.learning.watched import watched
from service.monitoring.drift import Drift, ModelVersion
from service.monitoring.log_cache import LogCache
from service.monitoring.performance import Performance
from service.prediction.filter import DEFAULT_LAST, DriftQuery, PerformanceQuery, Selection
from service.prediction.moment import moment_of
from service.registry.champion import Wanted, champion_content
from service.registry.manifests import manifests_of
from service.registry.registry import Registry
from service.registry.release import registry_of
from service.report.html import html, is_report, value
from service.report.report import Report, Reporter
from service.settings import Settings
from service.storage.connection import database_of
from service.storage.migrate import require_log
from service.storage.session import Session

_HEAD = 1_000


def make(settings: Settings, selection: Selection) -> tuple[Report, dict[str, Any]]:
    """The report on the selected rows, and what its heading says. Drift is measured on all rows of a period, or on the
    latest rows if there is no period. Raises ArtifactError, DatabaseError, InvalidQuery for too many windows, and
    Unavailable if the log cannot be read now."""
    require_log(database_of(settings))
    content = champion_content(settings, Wanted()) or read_content(settings.artifacts, settings.trust())
    has_period = selection.since is not None or selection.until is not None
    query, recent = PerformanceQuery(selection), DriftQuery(selection, None if has_period else DEFAULT_LAST)
    with closing(Session(require_log(database_of(settings)))) as session:
        model = _model(settings, session, selection.model_version, ModelVersion(content.version, content.manifest))
        log = LogCache(session.database, model.manifest.task)
        performance = Performance(model.manifest, log.columns)
        reporter = Reporter(model.manifest, performance, Drift(model, log), log.columns)
        report = session.read(lambda: reporter.report(query, recent))
        report = replace(report, comparison=_comparison(settings, session, selection))
    return report, _about(model, report, selection)


def require_free(path: Path) -> None:
    """Raises FileExistsError if the path holds anything but an earlier report."""
    if path.exists():
        with path.open("rb") as file:
            if not is_report(file.read(_HEAD)):
                raise FileExistsError(f"{path} is not a report of this service. Give another name, or --force.")


def write(path: Path, report: Report, about: Mapping[str, Any]) -> None:
    """Replaces the file atomically, so that no reader sees a half-written report."""
    with new_file(path, replace=True) as file:
        file.write(html(report, about))


def write_charts(folder: Path, report: Report) -> None:
    """Writes each chart to a PNG file with the name of the chart; an older one is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    for chart in report.charts:
        with new_file(folder / f"{chart.name}.png", replace=True) as file:
            file.write(chart.png)


def show(report: Report, console: Console) -> None:
    """Prints a summary of the report."""
    performance, drift = report.performance, report.drift
    plural = "" if performance["count"] == 1 else "s"
    console.print(f"{performance['count']:,} prediction{plural}, {performance['labelled']:,} with a label.")
    if performance["labelled"]:
        table = Table("metric", "value", "95 % interval", f"in training ({escape(performance['training_method'])})")
        for name, one in performance["metrics"].items():
            interval = "-" if one["low"] is None else f"{value(one['low'])} to {value(one['high'])}"
            table.add_row(name, value(one["value"]), interval, value(one["training"]))
        console.print(table)
    if report.comparison is not None:
        console.print(described(report.comparison))
    changed = {name: one for name, one in drift["columns"].items() if one["verdict"] in ("watch", "drifted")}
    for name, one in changed.items():
        console.print(f"{escape(name)}: {one['verdict']}, {', '.join(one['changes'])}")
    if not changed:
        console.print(
            "No column has drifted."
            if drift["verdict"]
            else "Drift was not tested: too few rows, or a model without a reference."
        )


def _model(settings: Settings, session: Session, version: str | None, served: ModelVersion) -> ModelVersion:
    """The model of a version that the registry has, or else the one that serves."""
    manifest = manifests_of(registry_of(settings, session))(version) if version not in (None, served.version) else None
    return served if version is None or manifest is None else ModelVersion(version, manifest)


def _comparison(settings: Settings, session: Session, selection: Selection) -> dict[str, Any] | None:
    """The champion against the model that scores new rows too: the previous champion while a promotion is watched, or
    the challenger. None if there is no such model, or if it cannot be compared."""
    registry = registry_of(settings, session)
    champion = None if registry is None else registry.promotions.champion()
    if registry is None or champion is None:
        return None
    rivals = [one.version for one in targets(registry, session, watched(registry.promotions, datetime.now(UTC)))]
    if not rivals:
        return None
    one, other = _registered(registry, champion), _registered(registry, rivals[0])
    if one is None or other is None:
        return None
    with suppress(InvalidQuery):  # of another task
        return session.read(lambda: comparison(session.database, one, other, selection))
    return None


def _registered(registry: Registry, version: str) -> ModelVersion | None:
    manifest = manifests_of(registry)(version)
    return None if manifest is None else ModelVersion(version, manifest)


def _about(model: ModelVersion, report: Report, selection: Selection) -> dict[str, Any]:
    performance, drift = report.performance, report.drift
    given = {
        "model version": selection.model_version,
        "since": None if selection.since is None else moment_of(selection.since),
        "until": None if selection.until is None else moment_of(selection.until),
    }
    return {
        "model": model.manifest.name,
        "version": model.version,
        "task": model.manifest.task.kind,
        "created": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "selection": ", ".join(f"{name} {text}" for name, text in given.items() if text is not None) or "the whole log",
        "predictions": f"{performance['count']:,}, {performance['labelled']:,} of them with a label",
        "drift": f"{drift['verdict'] or 'not tested'}; {drift['compared']:,} rows of the log compared",
    }
