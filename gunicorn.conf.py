"""The gunicorn configuration. gevent's patches come before all other imports, because an unpatched module would block
the event loop."""

from gevent import monkey

monkey.patch_all()

import gc  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402
from tempfile import gettempdir  # noqa: E402
from typing import Any  # noqa: E402

from gevent import get_hub  # noqa: E402

from service.server.early_stop import end_at_sigterm  # noqa: E402

end_at_sigterm()  # until gunicorn handles it, which is after the application is loaded

from service.server.descriptors import connection_limit  # noqa: E402
from service.server.shares import Shares  # noqa: E402
from service.settings import Settings, SettingsError, set_native_defaults  # noqa: E402
from service.telemetry import log_format  # noqa: E402

set_native_defaults()
# A batch that scores in Python shares the GIL with the event loop. Ten times more switches keep health checks fast.
sys.setswitchinterval(0.0005)
try:
    _settings = Settings.from_env()
except SettingsError as error:
    sys.exit(f"The service cannot start. {error}")
log_format.configure(_settings.log_level)
_shares = Shares()

_host = f"[{_settings.host}]" if ":" in _settings.host else _settings.host  # IPv6
bind = f"{_host}:{_settings.port}"
workers = _settings.web_concurrency
worker_class = "service.server.worker.Worker"
worker_connections = connection_limit()
preload_app = True
# A heartbeat file on a slow disk can block a worker, and gunicorn would kill it.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None

# A longer URL gets 414. A longer header, or one more header, gets 431.
limit_request_line = 4094
limit_request_fields = 100
limit_request_field_size = 8190

graceful_timeout = 25
timeout = 60
# Routers keep idle connections for about 90 s. They must close first, or a request may meet a closed connection.
keepalive = 95

loglevel = _settings.log_level
logger_class = "service.server.gunicorn_logger.GunicornLogger"
control_socket_disable = True

_FIRST_LOOK_SECONDS = 1.0  # at the champion, before a new worker accepts connections


def _metrics(server: Any) -> Any:
    return server.app.wsgi().extensions["metrics"]


def on_starting(server: Any) -> None:
    from service.server.worker import hold_stop_while_forking  # noqa: PLC0415 - gunicorn imports the worker late too
    from service.telemetry.multiprocess_dir import MultiprocessDir  # noqa: PLC0415 - after the application

    # Not earlier, because a daemon closes all descriptors before this point.
    log_format.line_output().keep_flowing()
    hold_stop_while_forking()
    _metrics(server).share(MultiprocessDir.make(Path(server.cfg.worker_tmp_dir or gettempdir())))
    # The loaded objects are permanent. Scanning them in each collection would stop a worker for tens of milliseconds.
    gc.collect()
    gc.freeze()


def pre_fork(server: Any, worker: Any) -> None:
    taken = {other.slot for other in server.WORKERS.values()}
    worker.slot = min(set(range(len(taken) + 1)) - taken)


def post_fork(server: object, worker: Any) -> None:
    worker.body_seconds = _settings.request_timeout
    metrics = _metrics(server)
    metrics.use_slot(worker.slot)
    worker.refused = metrics.refused
    worker.shares = _shares
    lines = log_format.line_output()
    lines.on_drop = metrics.dropped_log_line
    lines.keep_flowing()
    hub: Any = get_hub()
    hub.print_exception = log_format.log_uncaught


def post_worker_init(worker: Any) -> None:
    swap = worker.wsgi.extensions["swap"]
    if swap is not None:
        swap.start(_FIRST_LOOK_SECONDS)


def on_reload(server: Any) -> None:
    """Registers and promotes the model of ARTIFACTS at a HUP. Not in this process: its memory is that of all workers
    that it starts later, so it loads no model again. The workers take the champion as always. The release step does not
    get the listening sockets, because it may outlive this process."""
    command = [sys.executable, "-m", "service", "release"]
    closed = [(os.POSIX_SPAWN_CLOSE, listener.fileno()) for listener in server.LISTENERS]
    environment = os.environ  # noqa: TID251 - passed on, not read
    os.posix_spawn(sys.executable, command, environment, file_actions=closed, setsigmask=())


def child_exit(server: object, worker: Any) -> None:
    _metrics(server).mark_dead(worker.slot)


def on_exit(server: object) -> None:
    _metrics(server).close()


def worker_exit(server: Any, worker: object) -> None:
    """Ends a worker without interpreter shutdown, after its last request. In a regular exit, ONNX Runtime would wait
    for a thread that exists only in the master."""
    stopped = sys.exc_info()[1]
    swap = server.app.wsgi().extensions["swap"]
    if swap is not None:
        swap.stop()
    code = stopped.code if isinstance(stopped, SystemExit) else 0
    log_format.line_output().finish(log_format.EXIT_SECONDS)
    os._exit(code if isinstance(code, int) else 0)
