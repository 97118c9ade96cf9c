"""The error of an export that cannot go on."""


class FeedError(ValueError):
    """The feeds cannot be exported now; the message says what to do."""
