"""The SQL of files with many rows: how far the label files are that are not yet read to their end."""
