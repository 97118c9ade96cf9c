"""The use cases predict and update. Nothing here knows HTTP or the database."""
