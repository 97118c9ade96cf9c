"""The SQL of commands that write many rows."""
