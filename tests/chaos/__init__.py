"""Breaks the service and what it stands on while senders keep lists of what they were answered, and counts what was
lost, stored twice or wrong. `python -m tests.chaos` does so at length."""
