"""The log goes out: two append-only feeds of Parquet files, each row in one file."""
