"""Reads the rows of the log, in blocks of rows or of columns."""
