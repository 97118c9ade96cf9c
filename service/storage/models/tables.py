"""The tables of the registry as Peewee models without a database: each query gets one. A migration creates them."""

from peewee import BigAutoField, BigIntegerField, BlobField, CompositeKey, ForeignKeyField, Model, TextField

from service.storage.tables import JsonTextField, UtcField


class RegisteredModel(Model):
    """A model: its manifest as bytes with its signature, and whether all its files are there (`state`). `trained_until`
    is the newest row of the log that it was trained on, if any. A model with a `url` has its files there. `verdict` is
    what the gate said of it, as JSON."""

    version = TextField(primary_key=True)
    name = TextField()
    format = BigIntegerField()
    manifest = BlobField()
    signature = TextField()
    state = TextField()
    registered_at = UtcField()
    registered_by = TextField()
    trained_until = BigIntegerField(null=True)
    note = TextField(null=True)
    url = TextField(null=True)
    verdict = JsonTextField(null=True)

    class Meta:
        table_name = "model"


class ModelFile(Model):
    """A part of a file of a model; parts are numbered from 0."""

    version = ForeignKeyField(RegisteredModel, column_name="version", on_delete="CASCADE")
    name = TextField()
    part = BigIntegerField()
    bytes = BlobField()

    class Meta:
        table_name = "model_file"
        primary_key = CompositeKey("version", "name", "part")


class Champion(Model):
    """The one model that is to serve. Its only row has the id 1."""

    id = BigIntegerField(primary_key=True)
    version = ForeignKeyField(RegisteredModel, column_name="version", on_delete="RESTRICT")

    class Meta:
        table_name = "champion"


class Promotion(Model):
    """An entry of the history, which is only appended to. A rollback names the promotion that it undoes."""

    id = BigAutoField()
    from_version = TextField(null=True)
    to_version = TextField()
    promoted_at = UtcField()
    promoted_by = TextField()
    reason = TextField(null=True)
    figures = JsonTextField(null=True)
    undoes = BigIntegerField(null=True)

    class Meta:
        table_name = "promotion"


class ReleaseStep(Model):
    """The model that the newest release step of a machine brought."""

    id = BigAutoField()
    machine = TextField(unique=True)
    version = TextField()
    released_at = UtcField()

    class Meta:
        table_name = "release_step"
