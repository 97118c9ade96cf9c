"""Fault injection: breaks the service, its database or its network under load. Senders record all answers, and an audit
counts rows that are lost, stored twice or wrong. `python -m tests.chaos` runs the long version."""
