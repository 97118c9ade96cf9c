"""The command that records labels, as a function for `run_call` of tests.support.killed."""

from unittest.mock import patch

from service.__main__ import main
from service.bulk.labels import label_files
from service.cli import label as command  # noqa: F401 - loaded once, before the forks
from service.registry import chosen  # noqa: F401


def label(file: str, rejects: str) -> None:
    """Labels a file in chunks of four rows."""
    with patch.object(label_files, "_ROWS_AT_ONCE", 4):
        main(("label", file, "--rejects", rejects, "--force"), standalone_mode=False)
