"""Files of tables, by their place and format: read in blocks, and written whole or not at all."""
