"""The rules: what a fitted step of a library calculates, as instructions."""
