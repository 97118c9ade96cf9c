"""Loads a registered model and proves it, with limited memory; `prove` starts this program for it.

`python -m service.registry VERSION PARENT` prints, as JSON, the faults of the newest logged observations by column."""

import json
import os
import sys
from collections import Counter

from serialize.artifact import load_content
from serialize.errors import ArtifactError, one_line
from serialize.signature import Signature
from serialize.writing.parent import end_with
from service.errors import InvalidBody, ServiceError
from service.prediction.observation import ObservationParser
from service.registry.memory import limit_memory
from service.registry.release import registry_of
from service.settings import Settings, set_native_defaults
from service.storage.connection import database_of
from service.storage.reading.log_reader import log_reader
from service.storage.session import Session

_NEWEST = 1000


def _main(version: str, parent: str) -> None:
    end_with(int(parent))
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what the model prints is no part of the answer
    set_native_defaults()
    limit_memory()
    settings = Settings.from_env()
    session = Session(database_of(settings))
    registry = registry_of(settings, session)
    if registry is None:
        sys.exit("the registry is off; set MODEL_SIGNING_KEY")
    try:
        artifact = load_content(registry.content(version))
        artifact.verify_all()
        with answer:
            json.dump(_refused(artifact.manifest.signature, session), answer)
    except (ArtifactError, ServiceError) as error:
        sys.exit(str(error))
    except MemoryError as error:
        sys.exit(f"it needs more memory than is free ({one_line(error)})")
    finally:
        session.close()


def _refused(signature: Signature, session: Session) -> dict[str, int]:
    """The number of the newest observations that a signature refuses, by column."""
    parser, reader = ObservationParser(signature), log_reader(session.database)
    found: Counter[str] = Counter()
    for row in session.read(lambda: reader.older(size=_NEWEST)).rows:
        try:
            parser.parse({"id": 0, "observation": json.loads(row.observation)})
        except InvalidBody as error:
            found.update({fault.pointer.removeprefix("/observation/") for fault in error.faults})
    return dict(found)


if __name__ == "__main__":
    _main(*sys.argv[1:])
