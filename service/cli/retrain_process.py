"""The process that does the work of `python -m service retrain`, which starts it. On standard output it reports its
progress and then its result or its error, in lines of JSON."""

import json
import os
import signal
import sys
from typing import Any, TextIO

from peewee import PeeweeException

from serialize.errors import ArtifactError, DumpError, one_line
from serialize.recipes.csv_file import CsvFile
from serialize.writing.parent import end_with
from service.cli.data import DataError, read_rows
from service.errors import ServiceError, Unavailable
from service.learning.process import PATIENCE_SECONDS
from service.learning.reporter import Cancelled, Reporter
from service.learning.retrain import retrain
from service.learning.retraining.options import OwnRowsOf, RetrainOptions
from service.process import LOWEST_PRIORITY
from service.registry.memory import limit_memory
from service.settings import Settings, SettingsError, set_native_defaults
from service.storage.connection import DatabaseError, database_of
from service.storage.migrate import require_log
from service.storage.session import Session


def _main(text: str, parent: str) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that it deletes its files
    end_with(int(parent))
    output = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what the model prints is no part of the report
    set_native_defaults()
    os.nice(LOWEST_PRIORITY)
    limit_memory()
    given = json.loads(text)
    try:
        _say(output, {"result": _work(output, given["arguments"], given["file"])})
    except Cancelled:
        sys.exit("the command has ended")
    except MemoryError as error:
        _say(output, {"error": f"The work needs more memory than is free ({one_line(error)})."})
    except Unavailable:
        _say(output, {"error": "The database could not be used; run the command again when it can be."})
    except (
        SettingsError, DatabaseError, PeeweeException, ArtifactError, DumpError, DataError, ServiceError, OSError,
    ) as error:  # fmt: skip
        _say(output, {"error": " ".join(str(error).split())})


def _work(output: TextIO, arguments: dict[str, Any], file: list[Any] | None) -> dict[str, Any]:
    settings = Settings.from_env()
    options = RetrainOptions.of(arguments, None if file is None else _own_rows(*file))
    session = Session(require_log(database_of(settings)), PATIENCE_SECONDS)
    parent = os.getppid()

    def require() -> None:
        if os.getppid() != parent:  # the command was ended
            raise Cancelled

    def progress(share: float, sentence: str) -> None:
        require()
        _say(output, {"share": share, "sentence": sentence})

    try:
        return retrain(settings, options, Reporter(progress, require, session))
    finally:
        session.close()


def _own_rows(path: str, target: str, sep: str, encoding: str) -> OwnRowsOf:
    def own_rows(task: Any, signature: Any) -> Any:
        found = read_rows(CsvFile(path, sep, encoding), target, task, signature)
        return found.observations, found.targets

    return own_rows


def _say(output: TextIO, message: dict[str, Any]) -> None:
    output.write(json.dumps(message) + "\n")
    output.flush()


if __name__ == "__main__":
    _main(*sys.argv[1:])
