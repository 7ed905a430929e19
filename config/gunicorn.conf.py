"""How gunicorn serves the account API; the numbers come from the configuration's [http].

The application is loaded before the workers are forked, so that they share the memory of the
rate limits; it opens no socket and no database until a worker needs one.
"""

from __future__ import annotations

from typing import Any

import structlog

from config.control import LOAD_HISTORY, SERVE_METRICS
from config.processor import OneProcessor
from config.settings import load

_http = load().http

bind = f"{_http.host}:{_http.port}"
workers = _http.workers
threads = _http.threads
worker_class = "account_api.http.worker.Worker"
worker_connections = 10_000  # and not more than there are descriptors
preload_app = True
keepalive = 30
timeout = 60
graceful_timeout = 3
sendfile = False  # the worker sends by itself
limit_request_line = 4094
limit_request_fields = 64
limit_request_field_size = 4096
loglevel = "warning"
control_socket_disable = True


def when_ready(server: Any) -> None:
    """Tell where the service listens, once it does."""
    addresses = ["{}:{}".format(*listener.sock.getsockname()[:2]) for listener in server.LISTENERS]
    structlog.get_logger("account_api").info("ready", addresses=addresses)


def post_fork(server: Any, worker: Any) -> None:
    """Serve the worker's metrics; each has a socket of its own. Its threads take
    turns, so they are kept on one processor."""
    worker.body_bytes_max = _http.body_bytes_max
    worker.control = server.app.wsgi().extensions[SERVE_METRICS]()
    OneProcessor().start()


def post_worker_init(worker: Any) -> None:
    """Let the worker serve at once, and import soon what it reads the history with."""
    worker.app.wsgi().extensions[LOAD_HISTORY]()


def worker_exit(server: Any, worker: Any) -> None:
    """Take the worker's socket away. One that was killed leaves it to whoever finds it."""
    control = getattr(worker, "control", None)
    if control is not None:
        control.close()
