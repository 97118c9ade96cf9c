"""Files of tables, by their format: read in blocks, and written whole or not at all."""
