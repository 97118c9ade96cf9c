"""Artifacts in an object store or on a web server: reading, writing, and a cache of what was read."""
