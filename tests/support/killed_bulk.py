"""The commands for many rows, killed at one of their moments, as functions for `run_call` of tests.support.killed."""

import itertools
import os
import signal
from pathlib import Path
from typing import Any
from unittest.mock import patch

from service.__main__ import main
from service.bulk.files import parts
from service.bulk.runs import request  # noqa: F401 - loaded once, before the forks


def score(arguments: tuple[str, ...], die_before: int, part_rows: int) -> None:
    """Scores files in parts of this number of rows. The process kills itself before a file gets its name for the time
    `die_before`, counted from 1. If it ends by itself, the number of these times is in the file `names`."""
    names, replace = itertools.count(1), Path.replace

    def deadly(path: Path, target: Any) -> Path:
        if next(names) == die_before:
            os.kill(os.getpid(), signal.SIGKILL)
        return replace(path, target)

    with patch.object(Path, "replace", deadly), patch.object(parts, "_PART_ROWS", part_rows):
        main(("score", *arguments), standalone_mode=False)
    Path("names").write_text(str(next(names) - 1))
