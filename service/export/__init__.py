"""Exports of the log as files for other programs."""
