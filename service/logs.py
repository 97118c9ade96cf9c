"""The log that people read in a terminal: one line an event on standard output, as key=value pairs.

A value that could be mistaken for another pair or another line is written as a JSON string. Observations never get
here."""

import json
import logging
import re
import sys
import time
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from types import TracebackType
from typing import Any, TextIO

from gunicorn.glogging import Logger

_PLAIN = re.compile(r"[\w.:/@+\-]+", re.ASCII)

_UNKNOWN: dict[str, Any] = {
    **dict.fromkeys(("pathname", "filename", "module"), ""),
    **dict.fromkeys(("funcName", "thread", "threadName", "process", "processName", "taskName")),
    **dict.fromkeys(("exc_info", "exc_text", "stack_info")),
    "args": (),
    "lineno": 0,
    "relativeCreated": 0.0,
}


def configure(level: str) -> None:
    """Sends every logger of this process to standard output as key=value lines, from `level` on."""
    handler = _Lines(sys.stdout)
    handler.setFormatter(KeyValueFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    _silence_those_who_speak_of_values()


def _silence_those_who_speak_of_values() -> None:
    """Peewee logs every statement with its values at debug level, and a library's warning may name what it met."""
    logging.getLogger("peewee").setLevel(logging.INFO)
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").propagate = False


def event(logger: logging.Logger, level: int, name: str, /, **fields: Any) -> None:
    """Logs an event by its name with fields in the order given; those that are None are left out."""
    if logger.isEnabledFor(level):
        logger.handle(Event(logger.name, level, name, fields))


class Event(logging.LogRecord):
    """A record of an event. It knows nothing of the thread, the process and the source line that it came from, for no
    line says them, and not to find out makes it cheap."""

    def __init__(self, logger: str, level: int, name: str, fields: Mapping[str, Any]) -> None:
        self.__dict__.update(_UNKNOWN)
        self.name = logger
        self.levelno = level
        self.levelname = logging.getLevelName(level)
        self.msg = name
        self.fields = fields
        self.created = time.time()
        self.msecs = self.created % 1 * 1000


def frames(trace: TracebackType | None) -> str:
    """Where an exception went through, innermost last, without the values it met."""
    return " > ".join(f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(trace))


class KeyValueFormatter(logging.Formatter):
    """`time=... level=... event=... key=value ...`; for a record that is no event, `logger=... message=...`."""

    def format(self, record: logging.LogRecord) -> str:
        if isinstance(record, Event):
            name, fields = record.msg, record.fields
        else:
            name, fields = "log", {"logger": record.name, "message": record.getMessage()}
        pairs = [f"time={_moment(record)} level={record.levelname.lower()} event={name}"]
        pairs += [f"{key}={_value(value)}" for key, value in fields.items() if value is not None]
        if record.exc_info and record.exc_info[0] is not None:
            pairs.append(f"exception={record.exc_info[0].__name__} trace={_value(frames(record.exc_info[2]))}")
        return " ".join(pairs)


class GunicornLogger(Logger):  # type: ignore[misc]
    """gunicorn's own messages in the service's form; no access log beside the service's request lines, whatever
    GUNICORN_CMD_ARGS asks for."""

    def setup(self, cfg: Any) -> None:
        self.cfg = cfg
        self._access_log_enabled = False
        self.loglevel = self.LOG_LEVELS.get(cfg.loglevel.lower(), logging.INFO)
        self.error_log.handlers[:] = []
        self.error_log.propagate = True
        self.error_log.setLevel(self.loglevel)

    def access(self, resp: Any, req: Any, environ: Any, request_time: Any) -> None:
        """Nothing: the service writes the request line."""


class _Lines(logging.StreamHandler[TextIO]):
    """Writes each record in one go, which no other thread can come between; so it needs no lock. A line that cannot be
    written, to a full disk or to nobody, is lost, and the request that it tells of goes on."""

    def createLock(self) -> None:  # noqa: N802 - the name in logging
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        try:  # and not suppress, which would cost half a microsecond a line
            self.stream.write(self.format(record) + "\n")
            self.stream.flush()
        except OSError:
            pass


@lru_cache(maxsize=2)
def _second(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _moment(record: logging.LogRecord) -> str:
    return f"{_second(int(record.created))}.{int(record.msecs):03d}Z"


def _value(value: Any) -> str:
    if isinstance(value, str):
        return value if (value.isalnum() and value.isascii()) or _PLAIN.fullmatch(value) else json.dumps(value)
    if isinstance(value, int):
        return str(value)
    return f"{value:.2f}" if isinstance(value, float) else _value(json.dumps(value, separators=(",", ":")))
