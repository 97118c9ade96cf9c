"""The tables of the feeds as Peewee models without a database."""

from typing import Literal

from peewee import BigAutoField, BigIntegerField, BooleanField, CompositeKey, DoubleField, Model, TextField

from service.storage.tables import UtcField

FeedName = Literal["predictions", "labels"]
FEEDS: tuple[FeedName, ...] = ("predictions", "labels")  # a label comes after its prediction


class LabelEvent(Model):
    """One label of a prediction, in the order in which labels came. Triggers write the rows."""

    id = BigAutoField()
    prediction_id = BigIntegerField()
    true_class = TextField(null=True)
    true_value = DoubleField(null=True)
    labelled_at = UtcField()
    is_correction = BooleanField()

    class Meta:
        table_name = "label_event"


class FeedRange(Model):
    """The ids `first` to `last` of a feed, which are one object at a URL, below the UTC day on which the range was
    stored. The ranges of a feed and a URL have no gap between them."""

    feed = TextField()
    url = TextField()
    first = BigIntegerField()
    last = BigIntegerField()
    day = TextField()
    written_at = UtcField(null=True)

    class Meta:
        table_name = "feed_range"
        primary_key = CompositeKey("url", "feed", "first")
