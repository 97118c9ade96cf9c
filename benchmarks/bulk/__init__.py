"""How fast the commands for many rows are."""
