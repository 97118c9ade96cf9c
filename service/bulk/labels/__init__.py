"""The labels of files, recorded as POST /update does."""
