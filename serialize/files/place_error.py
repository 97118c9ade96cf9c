"""The error of a file that cannot be read or written."""


class PlaceError(ValueError):
    """A place cannot be read or written; the message says what to do."""
