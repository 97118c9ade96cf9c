"""The online service: request -> Observation -> Score -> Record -> response."""

__version__ = "0.1.0"
