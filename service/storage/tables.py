"""The tables of the log as Peewee models without a database: each query gets one. The migrations create the tables."""

from datetime import UTC, datetime
from typing import Any

from peewee import BigAutoField, BigIntegerField, DoubleField, Field, ForeignKeyField, Model, TextField

FIELD_TYPES_SQLITE = {"JSONTEXT": "TEXT", "TIMESTAMPTZ": "TEXT"}
FIELD_TYPES_POSTGRESQL = {"JSONTEXT": "JSON", "TIMESTAMPTZ": "TIMESTAMPTZ"}


class JsonTextField(Field):
    """Unchanged JSON text: a json column in PostgreSQL, text in SQLite, both queryable as JSON."""

    field_type = "JSONTEXT"


class UtcField(Field):
    """A moment in UTC: timestamptz in PostgreSQL, ISO 8601 text in SQLite."""

    field_type = "TIMESTAMPTZ"

    def db_value(self, value: datetime | None) -> str | None:
        return None if value is None else value.astimezone(UTC).isoformat(timespec="microseconds")

    def python_value(self, value: Any) -> datetime | None:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        return None if moment is None else moment.astimezone(UTC)


class Prediction(Model):
    """One answered prediction. `observation_id`, `predicted_class` and `true_class` are JSON, so that 0 and "0" are
    two ids; `threshold` and `model_version` are those of the prediction."""

    id = BigAutoField()
    observation_id = TextField()
    observation = JsonTextField()
    proba = DoubleField(null=True)
    probas = JsonTextField(null=True)
    predicted_class = TextField(null=True)
    predicted_value = DoubleField(null=True)
    threshold = DoubleField(null=True)
    true_class = TextField(null=True)
    true_value = DoubleField(null=True)
    model_version = TextField(null=True)
    created_at = UtcField()
    labelled_at = UtcField(null=True)

    class Meta:
        table_name = "prediction"


class LabelCorrection(Model):
    """A replaced true class or value."""

    id = BigAutoField()
    prediction = ForeignKeyField(Prediction, on_delete="CASCADE", backref="corrections")
    replaced_class = TextField(null=True)
    replaced_value = DoubleField(null=True)
    labelled_at = UtcField()
    replaced_at = UtcField()

    class Meta:
        table_name = "label_correction"


class LabelFile(Model):
    """How far a run of `service label` has come that has not ended. `digest` is of its input and arguments, `file` the
    number of the file that is read, and `next_row` the first row of it whose label is not yet recorded."""

    digest = TextField(primary_key=True)
    file = BigIntegerField()
    next_row = BigIntegerField()
    updated_at = UtcField()

    class Meta:
        table_name = "label_file"
