"""The log that people read in a terminal: one line an event on standard output, as key=value pairs.

A value that could be mistaken for another pair or another line is written as a JSON string. Observations never get
here."""

import json
import logging
import re
import sys
import traceback
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from gunicorn.glogging import Logger

_PLAIN = re.compile(r"[\w.:/@+\-]+", re.ASCII)


def configure(level: str) -> None:
    """Sends every logger of this process to standard output as key=value lines, from `level` on."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(KeyValueFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(True)
    # No line says which thread, process or source line it came from: not to find out makes each cheaper.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None


def event(logger: logging.Logger, level: int, name: str, /, **fields: Any) -> None:
    """Logs an event by its name with fields in the order given; those that are None are left out."""
    if logger.isEnabledFor(level):
        logger.log(level, name, extra={"fields": fields})


def frames(trace: TracebackType | None) -> str:
    """Where an exception went through, innermost last, without the values it met."""
    return " > ".join(f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(trace))


class KeyValueFormatter(logging.Formatter):
    """`time=... level=... event=... key=value ...`; for a record that is no event, `logger=... message=...`."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        pairs: dict[str, Any] = {"time": moment.replace("+00:00", "Z"), "level": record.levelname.lower()}
        fields = getattr(record, "fields", None)
        if fields is None:
            pairs |= {"event": "log", "logger": record.name, "message": record.getMessage()}
        else:
            pairs |= {"event": record.getMessage(), **fields}
        if record.exc_info and record.exc_info[0] is not None:
            pairs |= {"exception": record.exc_info[0].__name__, "trace": frames(record.exc_info[2])}
        return " ".join(f"{key}={_value(value)}" for key, value in pairs.items() if value is not None)


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


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.2f}"
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
