"""The schemas of the bodies that are the same for every model."""

from typing import get_args

from serialize.formats.datetimes import Element, Unit
from serialize.signature import ColumnKind, Container, NullMarker
from serialize.task import TaskKind, Ties
from service.demo import MOST_ROWS
from service.errors import LISTED_FAULTS
from service.learning.comparison import FIRST, NEITHER, SECOND
from service.learning.gate.losses import LOSS_NAMES
from service.monitoring.comparison import CHANGES
from service.monitoring.intervals import LEVEL
from service.storage.learning.jobs import STATES
from service.storage.models.store import INCOMING, REFUSED, REGISTERED, RETIRED
from service.web.admin_payload import MOST_REASON
from service.web.query import MOST_KEY, MOST_LIMIT
from service.web.schemas.forms import (
    BOOLEAN,
    COUNT,
    FILLED,
    INTERVAL,
    LABEL,
    LABEL_OR_NULL,
    METHOD,
    NO_NUL,
    OBSERVATION_ID,
    REAL,
    REAL_OR_NULL,
    SHARE,
    SHARE_OR_NULL,
    TEXT,
    TIME,
    VERSION,
    Schema,
    Schemas,
    array,
    each,
    integer,
    mapping,
    nullable,
    record,
    reference,
)

_DRIFT_VERDICT: Schema = {"enum": ["ok", "watch", "drifted", None]}
_COLUMN_CARD = record(
    {
        "categories": array(LABEL_OR_NULL),
        "levels": record(values=array(LABEL_OR_NULL), dtype=TEXT, ordered=BOOLEAN),
        **each(REAL, "minimum", "maximum", "largest"),
        "longest": COUNT,
        "accepts_unseen": BOOLEAN,
        "datetimes": record(
            {"element": {"enum": list(get_args(Element))}, **each(TEXT, "zone", "earliest", "latest")},
            unit={"enum": list(get_args(Unit))},
        ),
    },
    **each(TEXT, "name", "dtype"),
    kind={"enum": list(get_args(ColumnKind))},
    null={"enum": list(get_args(NullMarker))},
    nullable=BOOLEAN,
)
_SPREAD = record({"std": REAL, "folds": COUNT}, mean=REAL)
_SCORING = {
    **record(
        {
            "native": {**array(TEXT), "description": "The steps of the pipeline that the compiled form calls."},
            "row_us": {**mapping(REAL), "description": "The microseconds of one row, when the model was dumped."},
            "rows_per_second": {**mapping(REAL), "description": "The same for 1,000 rows by column."},
            "arrays": {"enum": ["compiled", "pipeline"], "description": "What answers arrays of 500 and more."},
        }
    ),
    "description": "How the model answers; empty for a model of an older version.",
}
# The log may hold predictions of other models, so a row of it is wider than a prediction of the served model.
_ROW: Schemas = {
    "id": reference("RowKey"),
    "observation_id": reference("ObservationId"),
    "observation": {"description": "The observation as the service stored it."},
    "model_version": nullable(TEXT),
    "threshold": SHARE_OR_NULL,
    "created_at": TIME,
    "labelled_at": nullable(TIME),
}
_SCORE: Schemas = {
    **each(LABEL_OR_NULL, "predicted_class", "true_class"),
    **each(REAL_OR_NULL, "predicted_value", "true_value"),
    "proba": SHARE_OR_NULL,
    "probas": mapping(SHARE_OR_NULL),
}
_CORRECTION = record(
    **each(TIME, "labelled_at", "replaced_at"), replaced_class=LABEL_OR_NULL, replaced_value=REAL_OR_NULL
)
_REASON: Schema = {
    **nullable(TEXT),
    "minLength": 1,
    "maxLength": MOST_REASON,
    "pattern": NO_NUL,
    "description": "A text for the history of promotions.",
}
LISTED_MODEL: Schemas = {
    "version": VERSION,
    "name": TEXT,
    "state": {"enum": [INCOMING, REGISTERED, REFUSED, RETIRED]},
    "registered_at": TIME,
    "registered_by": TEXT,
    "trained_until": {**nullable(integer(1)), "description": "The newest row of the log that it was trained on."},
    "note": nullable(TEXT),
    "champion": BOOLEAN,
}
_PROMOTION = record(
    **each(nullable(VERSION), "from"),
    id=integer(1),
    to=VERSION,
    at=TIME,
    by=TEXT,
    reason=nullable(TEXT),
    figures=nullable({"type": "object"}),
    undoes={**nullable(integer(1)), "description": "The id of the promotion that a rollback undid."},
)

# The schemas that are the same for every model.
ANSWERS: Schemas = {
    "ObservationId": OBSERVATION_ID,
    "RowKey": {**integer(1, MOST_KEY), "description": "The key of the row."},
    "Prediction": record(id=reference("ObservationId"), observation=reference("Observation")),
    "Index": record(
        **each(TEXT, "name", "version"),
        model=record(name=TEXT, version=VERSION, task={"enum": list(get_args(TaskKind))}),
        links=mapping({**TEXT, "pattern": "^/", "description": "The path of the operation with this operationId."}),
    ),
    "Model": record(
        name=TEXT,
        version=VERSION,
        task={"enum": list(get_args(TaskKind))},
        classes=array(LABEL),
        positive_class=LABEL_OR_NULL,
        threshold=SHARE_OR_NULL,
        ties={"enum": list(get_args(Ties)), "description": "What decides the class at the threshold."},
        signature=record(container={"enum": list(get_args(Container))}, columns=array(_COLUMN_CARD)),
        metrics=record({"splitter": TEXT, "baseline": mapping(_SPREAD)}, method=METHOD, metrics=mapping(_SPREAD)),
        importances=record({"note": TEXT}, metric=TEXT, columns=mapping(_SPREAD)),
        libraries=mapping(TEXT),
        compiled=BOOLEAN,
        not_compiled=nullable(TEXT),
        scoring=_SCORING,
        warnings=array(TEXT),
        class_counts=mapping(COUNT),
        serving={**VERSION, "description": "The same as `version`."},
        wanted={**nullable(VERSION), "description": "The champion of the registry; null if it is off or has none."},
        why={**nullable(TEXT), "description": "Why the champion does not serve; null if it does, or is being loaded."},
    ),
    "Logged": record(_SCORE, **_ROW),
    "LoggedPage": record(
        predictions=array(reference("Logged"), maxItems=MOST_LIMIT),
        next={**nullable(TEXT), "description": "The relative URL of the next page; null on the last page."},
    ),
    "Erased": record(_SCORE, **_ROW, corrections=array(_CORRECTION)),
    "Emptying": record(database={**TEXT, "description": "The database name at the end of DATABASE_URL."}),
    "Emptied": record(export=TEXT, rows=COUNT),
    "Seeding": record({"rows": integer(1, MOST_ROWS)}),
    "Seeded": record(recipe=TEXT, rows=integer(1)),
    "Figure": record(**INTERVAL, training=REAL_OR_NULL),
    "Comparison": record(
        **each(TEXT, "first", "second"),
        **each(COUNT, "rows", "only_first", "only_second"),
        loss={"enum": list(dict.fromkeys(LOSS_NAMES.values()))},
        **each(REAL_OR_NULL, "first_loss", "second_loss"),
        difference=record(**INTERVAL),
        interval={"const": LEVEL},
        better={"enum": [FIRST, SECOND, NEITHER]},
    ),
    "Models": record(
        champion=nullable(VERSION),
        models=array(record(**LISTED_MODEL), maxItems=MOST_LIMIT),
        promotions=array(_PROMOTION, maxItems=MOST_LIMIT),
    ),
    "Promoting": record({"reason": _REASON, "force": BOOLEAN}),
    "RollingBack": record({"reason": _REASON}),
    "Promoted": record(champion=VERSION, before=nullable(VERSION)),
    "Job": record(
        id=integer(1, MOST_KEY),
        **each(TEXT, "kind", "created_by"),
        arguments={"type": "object"},
        state={"enum": list(STATES)},
        progress={**SHARE, "description": "How much is done."},
        message={**TEXT, "description": "What happens now, or happened last."},
        attempt={**COUNT, "description": "How many workers took it; the second takes it if the first was lost."},
        worker={**nullable(TEXT), "description": "The host and the process of the worker that took it last."},
        created_at=TIME,
        **each(nullable(TIME), "heartbeat", "started_at", "finished_at"),
        result={"type": ["object", "null"], "description": "What a job that succeeded found and did."},
        error={**nullable(TEXT), "description": "Why a job failed."},
    ),
    "Jobs": record(
        jobs=array(reference("Job"), maxItems=MOST_LIMIT),
        worker_seen={
            **REAL_OR_NULL,
            "minimum": 0,
            "description": "How many seconds ago a worker was last seen; null if there is none.",
        },
    ),
    "Drift": record(
        **each(COUNT, "count", "compared"),
        **each(TEXT, "model_version", "reference"),
        verdict=_DRIFT_VERDICT,
        drifted=array(TEXT),
        columns=mapping(reference("DriftOfColumn")),
    ),
    "DriftOfColumn": record(
        {
            "null_rate": SHARE_OR_NULL,
            **each(SHARE, "reference_null_rate", "unseen_rate", "out_of_range_rate", "distance"),
            **each(SHARE, "unknown_words_rate", "reference_unknown_words_rate"),
            **each(REAL, "psi", "noise_floor"),
            "test": {"enum": ["Kolmogorov-Smirnov", "chi-squared", "distance"]},
        },
        kind={"enum": [*get_args(ColumnKind), "output"]},
        count=COUNT,
        p_value=SHARE_OR_NULL,
        verdict=_DRIFT_VERDICT,
        changes=array({"enum": list(CHANGES)}),
    ),
    "MetricsText": TEXT,
    "Up": record(status={"const": "up"}),
    "Ready": record(status={"const": "ready"}),
    "OpenAPI": record(openapi=TEXT, info=mapping(TEXT), **each(mapping({"type": "object"}), "paths", "components")),
    "Fault": record(
        pointer={**TEXT, "pattern": "^(/|$)", "description": "The JSON pointer (RFC 6901) to the place."},
        **each(TEXT, "detail", "expected"),
        value={"description": "The value at that place; a long value is cut and becomes a string."},
    ),
    "Problem": record(
        {"errors": array(reference("Fault"), minItems=1, maxItems=LISTED_FAULTS)},
        type={**TEXT, "pattern": "^urn:prediction-service:problem:[a-z0-9-]+$"},
        **each(FILLED, "title", "detail"),
        status=integer(400, 599),
        instance={**TEXT, "pattern": "^urn:request:"},
        error={**FILLED, "description": "The same text as detail, for clients that read only this member."},
    ),
}
