"""Files with rows by their place and format: on a disk or in an object store."""
