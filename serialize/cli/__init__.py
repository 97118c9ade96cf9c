"""What `python -m serialize` prints."""
