"""The online service: request -> Observation -> Score -> Record -> response."""
