"""gunicorn's own log messages in the format of the service."""

import logging
from typing import Any

from gunicorn.glogging import Logger


class GunicornLogger(Logger):  # type: ignore[misc]
    """Passes gunicorn's messages to the root logger. It never writes an access log, even if GUNICORN_CMD_ARGS enables
    it: the application logs each request."""

    def setup(self, cfg: Any) -> None:
        """Sets the level, and leaves the output to the root logger."""
        self.cfg = cfg
        self._access_log_enabled = False
        self.loglevel = self.LOG_LEVELS.get(cfg.loglevel.lower(), logging.INFO)
        self.error_log.handlers[:] = []
        self.error_log.propagate = True
        self.error_log.setLevel(self.loglevel)

    def debug(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        """Logs a message, except gunicorn's configuration: a password may be in its `raw_env`."""
        if not str(msg).startswith("Current configuration"):
            super().debug(msg, *args, **kwargs)

    def access(self, resp: Any, req: Any, environ: Any, request_time: Any) -> None:
        """Does nothing."""
