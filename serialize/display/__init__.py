"""What a terminal or a notebook shows of an artifact and of the work on it."""
