"""Compares what was answered with what the database holds."""
