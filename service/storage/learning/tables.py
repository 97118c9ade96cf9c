"""The tables of learning as Peewee models without a database: each query gets one. A migration creates them."""

from peewee import BigAutoField, BigIntegerField, CompositeKey, DoubleField, ForeignKeyField, Model, TextField

from service.storage.tables import JsonTextField, Prediction, UtcField


class Job(Model):
    """Work for a worker. `progress` is from 0 to 1, and `message` says what happens now. `attempt` counts the workers
    that took the job; only the newest may write. `heartbeat` is when that worker was last seen at work on it."""

    id = BigAutoField()
    kind = TextField()
    arguments = JsonTextField()
    state = TextField()
    progress = DoubleField()
    message = TextField()
    attempt = BigIntegerField()
    worker = TextField(null=True)
    heartbeat = UtcField(null=True)
    created_at = UtcField()
    created_by = TextField()
    started_at = UtcField(null=True)
    finished_at = UtcField(null=True)
    result = JsonTextField(null=True)
    error = TextField(null=True)

    class Meta:
        table_name = "job"


class WorkerSeen(Model):
    """When a worker process was last seen."""

    name = TextField(primary_key=True)
    seen_at = UtcField()

    class Meta:
        table_name = "worker"


class ShadowScore(Model):
    """What another model than the one that answered says about a logged row."""

    prediction = ForeignKeyField(Prediction, on_delete="CASCADE", backref="shadow_scores")
    version = TextField()
    proba = DoubleField(null=True)
    probas = JsonTextField(null=True)
    predicted_class = TextField(null=True)
    predicted_value = DoubleField(null=True)

    class Meta:
        table_name = "shadow_score"
        primary_key = CompositeKey("version", "prediction")
