"""The examples of the 200 responses in /openapi.json. Their members, types and labels are those of the real answers.

Their figures are made up: everyone may read the document, but only clients with a key may read what the model predicts
and how good it is. Where an answer has an entry for each column, the example has the first one."""

from collections.abc import Mapping
from typing import Any

from serialize.manifest import Manifest
from serialize.signature import Column
from service.monitoring.intervals import LEVEL
from service.monitoring.task_metrics import QUANTILES
from service.prediction.true_label import LabelParser
from service.telemetry.metric_definitions import REQUESTS
from service.web.index import index
from service.web.schemas.of_model import FACTS, METRICS

Example = dict[str, Any]

SEED_ROWS = 100
JOB = 1
RETRAINING = {"promote": True, "window": "30d", "ids": "order-"}
REASON = "better on the predictions of January"

_PROBA, _THRESHOLD = 0.75, 0.5
_VALUE = 120.5
_FIGURE = {"value": 0.8, "low": 0.76, "high": 0.84, "training": 0.81}
_SPREAD = {"mean": 0.81, "std": 0.02, "folds": 4}
_METHOD = "5-fold cross-validation"
_TEXTS = {
    "method": _METHOD,
    "splitter": "StratifiedKFold",
    "metric": "accuracy",
    "note": "The time limit of 60 s was reached after 20 of 30 columns.",
}
_LABELLED, _COUNT = 100, 400
_BEFORE = "0a1b2c3d4e5f"
_CREATED, _LABELLED_AT = "2026-01-31T12:00:00.000000+00:00", "2026-02-01T09:30:00.000000+00:00"
_JOB = {
    "id": JOB,
    "kind": "retrain",
    "arguments": {**dict.fromkeys(("max_rows", "holdout", "since", "until", "cluster")), **RETRAINING, "guard": []},
    "state": "queued",
    "progress": 0.0,
    "message": "It waits for a worker.",
    "attempt": 0,
    "worker": None,
    "heartbeat": None,
    "created_at": _CREATED,
    "created_by": "http:5e884898",
    "started_at": None,
    "finished_at": None,
    "result": None,
    "error": None,
}
_METRICS_TEXT = (
    f"# HELP {REQUESTS.name} {REQUESTS.help}\n"
    f"# TYPE {REQUESTS.name} {REQUESTS.kind}\n"
    f'{REQUESTS.name}{{method="POST",route="/predict",status="200"}} 400.0\n'
)


def example_answers(
    manifest: Manifest, version: str, observation: Mapping[str, Any], example_id: str, truth: Any
) -> dict[str, Example]:
    """The bodies by operationId and name of the example, and as `line` a line of the stream. `version` is the model's;
    `observation` has the id `example_id` and, in /update, the label `truth`."""
    ids = {"one": (1, example_id), "first": (2, f"{example_id}-1"), "second": (3, f"{example_id}-2")}
    predicted = {name: _prediction(manifest, *one, None) for name, one in ids.items()}
    updated = {
        name: {**_prediction(manifest, *one, truth), "observation": dict(observation)} for name, one in ids.items()
    }
    row = {
        **updated["one"],
        "model_version": version,
        "threshold": _threshold(manifest),
        "created_at": _CREATED,
        "labelled_at": _LABELLED_AT,
    }
    bodies: dict[str, Any] = {
        "index": index(manifest, version),
        "model": _card(manifest, version),
        "performance": _performance(manifest),
        "drift": _drift(manifest, version),
        "models": _models(manifest, version),
        "registeredModel": _registered(manifest, version),
        "promote": {"champion": version, "before": _BEFORE},
        "retrain": _JOB,
        "jobs": {"jobs": [_JOB], "worker_seen": 0.4},
        "job": _JOB,
        "cancel": _JOB | {"state": "cancelled", "finished_at": _LABELLED_AT},
        "rollback": {"champion": _BEFORE, "before": version},
        "metrics": _METRICS_TEXT,
        "erase": {**row, "corrections": []},
        "livez": {"status": "up"},
        "readyz": {"status": "ready"},
        "healthz": {"status": "ready"},
        "reset": {"export": "example.db-20260131T120000Z-0a1b2c3d.ndjson", "rows": _COUNT},
        "seed": {"recipe": "titanic", "rows": SEED_ROWS},
        "openapi": {"openapi": "3.1.1", "info": {"version": version}, "paths": {}, "components": {}},
    }
    return {
        **{name: {"answer": body} for name, body in bodies.items()},
        "predict": _one_and_many(predicted),
        "update": _one_and_many(updated),
        "predictions": {"page": {"predictions": [row], "next": None}},
        "line": {"line": row},
    }


def _one_and_many(each: Mapping[str, Example]) -> Example:
    return {"one": each["one"], "many": [each["first"], each["second"]]}


def _prediction(manifest: Manifest, id_: int, observation_id: str, truth: Any) -> Example:
    task, true = manifest.task, LabelParser(manifest.task).name
    head = {"id": id_, "observation_id": observation_id}
    if task.kind == "regression":
        return {**head, "predicted_value": _VALUE, true: truth}
    first, *others = task.classes
    if task.kind == "binary":
        return {**head, "predicted_class": task.positive_class, "proba": _PROBA, true: truth}
    rest = round((1 - _PROBA) / len(others), 6)
    probas = {str(first): _PROBA, **{str(one): rest for one in others}}
    return {**head, "predicted_class": first, "proba": _PROBA, true: truth, "probas": probas}


def _threshold(manifest: Manifest) -> float | None:
    return _THRESHOLD if manifest.task.kind == "binary" else None


_SCORING = {
    "native": [],
    "row_us": {"compiled": 20.0, "pipeline": 3000.0},
    "rows_per_second": {"compiled": 1500000.0, "pipeline": 200000.0},
    "arrays": "compiled",
}


def _card(manifest: Manifest, version: str) -> Example:
    task, signature = manifest.task, manifest.signature.to_json()
    return {
        "name": manifest.name,
        "version": version,
        **task.to_json(),
        "threshold": _threshold(manifest),
        "signature": {**signature, "columns": signature["columns"][:1]},
        "metrics": _made_up(manifest.metrics),
        "importances": {**_made_up(manifest.importances), "metric": manifest.importances["metric"]},
        "libraries": {"python": "3.12.0", "scikit-learn": "1.6.1"},
        "compiled": True,
        "not_compiled": None,
        "scoring": _SCORING if manifest.scoring else {},
        "warnings": [],
        "class_counts": dict.fromkeys(list(manifest.class_counts)[:1], _COUNT),
        "serving": version,
        "wanted": version,
        "why": None,
    }


def _listed(manifest: Manifest, version: str) -> Example:
    return {
        "version": version,
        "name": manifest.name,
        "state": "registered",
        "registered_at": _CREATED,
        "registered_by": "ann@laptop",
        "trained_until": None,
        "note": "with the data of January",
        "champion": True,
    }


def _models(manifest: Manifest, version: str) -> Example:
    promotion = {"id": 2, "from": _BEFORE, "to": version, "at": _LABELLED_AT, "by": "http:5e884898"}
    return {
        "champion": version,
        "models": [_listed(manifest, version)],
        "promotions": [{**promotion, "reason": REASON, "figures": None, "undoes": None}],
    }


def _registered(manifest: Manifest, version: str) -> Example:
    card = _card(manifest, version)
    return {**_listed(manifest, version), **{name: card[name] for name in FACTS}, "verdict": None}


def _made_up(figures: Mapping[str, Any]) -> Example:
    """The same members with other texts, and with the first figure of each kind."""
    return {name: _TEXTS[name] if isinstance(found, str) else _first(found) for name, found in figures.items()}


def _first(figures: Mapping[str, Mapping[str, Any]]) -> Example:
    first = list(figures.items())[:1]
    return {name: {member: _SPREAD[member] for member in _SPREAD if member in found} for name, found in first}


def _performance(manifest: Manifest) -> Example:
    task = manifest.task
    is_class = task.kind != "regression"
    by_task: Example = {}
    if task.kind == "multiclass":
        figures = {name: {**_FIGURE, "training": None} for name in ("precision", "recall", "f1")}
        by_task["classes"] = {str(label): {"labelled": _LABELLED, "metrics": figures} for label in task.classes}
    if task.kind == "regression":
        by_task["error_quantiles"] = {f"{quantile:g}": round(quantile - 0.5, 2) for quantile in QUANTILES}
    return {
        "count": _COUNT,
        "labelled": _LABELLED,
        "coverage": _LABELLED / _COUNT,
        "label_delay": {"median": 3600.0, "p90": 86400.0},
        "metrics": dict.fromkeys(METRICS[task.kind], _FIGURE),
        "threshold": _threshold(manifest),
        "confusion_matrix": _confusion_matrix(manifest) if is_class else None,
        "calibration": _CALIBRATION if is_class else None,
        **by_task,
        "estimate": _ESTIMATE if is_class else None,
        "interval": LEVEL,
        "training_method": _METHOD,
    }


_CALIBRATION = {
    "bins": [
        {
            "from": 0.7,
            "to": 0.8,
            "count": _LABELLED,
            "mean_proba": _PROBA,
            "share": {name: _FIGURE[name] for name in ("value", "low", "high")},
        }
    ],
    "brier_score": {"reliability": 0.01, "resolution": 0.05, "uncertainty": 0.2, "within_bins": 0.0},
}
_ESTIMATE = {
    "method": "CBPE",
    "count": _COUNT - _LABELLED,
    "calibrated_on": _LABELLED,
    "metrics": {"accuracy": 0.79},
}


def _confusion_matrix(manifest: Manifest) -> Example:
    """A class is taken for the next one in a fifth of all cases."""
    classes = list(manifest.task.classes)
    size, each = len(classes), _LABELLED // len(classes)
    wrong = each // 5
    counts = [
        [each - wrong if column == row else wrong if column == (row + 1) % size else 0 for column in range(size)]
        for row in range(size)
    ]
    return {"labels": classes, "counts": counts}


def _drift(manifest: Manifest, version: str) -> Example:
    column = next(iter(manifest.signature))
    return {
        "count": _COUNT,
        "compared": _COUNT,
        "model_version": version,
        "reference": version,
        "verdict": "ok",
        "drifted": [],
        "columns": {column.name: drift_of_column(column, manifest.profile["columns"][column.name])},
    }


def drift_of_column(column: Column, profile: Mapping[str, Any]) -> Example:
    """The part of /drift on a column with this reference profile."""
    is_open = column.kind not in ("category", "boolean")
    return {
        "kind": column.kind,
        "count": _COUNT,
        "null_rate": 0.01,
        "reference_null_rate": 0.01,
        ("out_of_range_rate" if is_open else "unseen_rate"): 0.0,
        "psi": 0.02,
        "distance": 0.04,
        "noise_floor": 0.12,
        "test": "Kolmogorov-Smirnov" if is_open else "chi-squared",
        **({"unknown_words_rate": 0.03, "reference_unknown_words_rate": 0.02} if "vocabulary" in profile else {}),
        "p_value": 0.6,
        "verdict": "ok",
        "changes": [],
    }
