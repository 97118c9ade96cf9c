"""What dump checks about a model before it writes an artifact."""
