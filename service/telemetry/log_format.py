"""The log on standard output: one line of key=value pairs per event. A value that could be read as another pair or
another line is written as a JSON string. The values of observations are never logged."""

import json
import logging
import re
import sys
import traceback
from datetime import UTC, datetime
from functools import lru_cache
from types import TracebackType
from typing import Any, TextIO

from service.telemetry.line_output import LineOutput, unblocked

EXIT_SECONDS = 2.0

_PLAIN = re.compile(r"[\w.:/@+\-]+", re.ASCII)

_log = logging.getLogger("service")


def configure(level: str) -> None:
    """Sends all loggers of this process to standard output as key=value lines, from `level` on."""
    root = logging.getLogger()
    if not any(isinstance(handler, _QueuingHandler) for handler in root.handlers):
        _use(_LineHandler(sys.stdout))
    root.setLevel(level.upper())
    # The lines do not show these, and to look them up takes time.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    # At debug level Peewee logs the values of each statement, and psycopg the server that it tries. The warning of a
    # library may show a value.
    logging.getLogger("peewee").setLevel(logging.INFO)
    logging.getLogger("psycopg").setLevel(logging.INFO)
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").propagate = False


def line_output() -> LineOutput:
    """The output that never waits for the reader of standard output. From the first call on, all loggers use it, and
    exceptions that nobody could catch go there too."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, _QueuingHandler):
            return handler.output
    stream: TextIO | None = sys.stdout or sys.stderr  # None if the descriptor is closed
    output = LineOutput(unblocked(stream.fileno()) if stream else len, _dropped_notice)
    _use(_QueuingHandler(output))
    sys.unraisablehook = lambda error: log_uncaught(error.object, error.exc_type, error.exc_value, error.exc_traceback)
    return output


def log_uncaught(_context: object, type_: type[BaseException], _value: object, trace: TracebackType | None) -> None:
    """Logs an exception that nobody caught. It takes the place of gevent's `Hub.print_exception`, which writes to
    standard error, and so may wait."""
    event(_log, logging.ERROR, "error", exception=type_.__name__, trace=frames(trace))


def event(logger: logging.Logger, level: int, name: str, /, **fields: Any) -> None:
    """Logs an event with its fields in this order; a field that is None is left out."""
    if logger.isEnabledFor(level):
        logger.handle(event_record(logger.name, level, name, fields))


def event_record(logger: str, level: int, name: str, fields: dict[str, Any]) -> logging.LogRecord:
    """The record of an event, without the source line, which takes longer to find than all the rest."""
    named = {"name": logger, "levelno": level, "levelname": logging.getLevelName(level)}
    return logging.makeLogRecord({**named, "msg": name, "fields": fields})


def frames(trace: TracebackType | None) -> str:
    """The source lines of a traceback, innermost last, without the values."""
    return " > ".join(f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(trace))


class KeyValueFormatter(logging.Formatter):
    """`time=... level=... event=... key=value ...`; for a record that is not an event, `logger=... message=...`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record, without a newline."""
        name, fields = record.msg, getattr(record, "fields", None)
        if fields is None:
            name, fields = "log", {"logger": record.name, "message": record.getMessage()}
        pairs = [f"time={_moment(record)} level={record.levelname.lower()} event={name}"]
        pairs += [f"{key}={_value(value)}" for key, value in fields.items() if value is not None]
        if record.exc_info and record.exc_info[0] is not None:
            pairs.append(f"exception={record.exc_info[0].__name__} trace={_value(frames(record.exc_info[2]))}")
        return " ".join(pairs)


class _LineHandler(logging.StreamHandler[TextIO]):
    """Writes each line in one atomic call. A line that cannot be written (full disk, closed pipe) is lost."""

    def handle(self, record: logging.LogRecord) -> bool:
        """Writes a record without the handler's lock: greenlets and native threads both log, and cannot both wait for a
        lock that gevent has patched."""
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        try:  # not suppress, which costs half a microsecond a line
            self.stream.write(self.format(record) + "\n")
            self.stream.flush()
        except OSError:
            pass


class _QueuingHandler(logging.Handler):
    """Writes each line to an output that never waits, without the handler's lock."""

    def __init__(self, output: LineOutput) -> None:
        super().__init__()
        self.output = output

    def handle(self, record: logging.LogRecord) -> bool:
        """Writes a record."""
        self.output.add(f"{self.format(record)}\n".encode())
        return True

    def flush(self) -> None:
        """Waits at the end of Python for the queued lines."""
        self.output.finish(EXIT_SECONDS)


def _use(handler: logging.Handler) -> None:
    handler.setFormatter(KeyValueFormatter())
    logging.getLogger().handlers[:] = [handler]


def _dropped_notice(lines: int) -> bytes:
    record = event_record(_log.name, logging.WARNING, "log-dropped", {"lines": lines})
    return f"{KeyValueFormatter().format(record)}\n".encode()


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
