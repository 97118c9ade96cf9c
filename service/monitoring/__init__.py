"""Performance and drift, computed from the log."""
