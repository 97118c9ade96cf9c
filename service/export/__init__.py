"""The log as files for other programs."""
