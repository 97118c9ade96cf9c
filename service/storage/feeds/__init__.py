"""The SQL of the feeds: the log as two append-only streams, cut into ranges that are exported once."""
