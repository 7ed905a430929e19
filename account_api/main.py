"""The process: ``python -m account_api.main`` reads the configuration and runs gunicorn.

gunicorn calls ``application()`` of this module; nothing is opened before a worker exists, except
the shared memory of the rate limits.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from gunicorn.app.wsgiapp import WSGIApplication

from account_api.configuration import api_settings
from account_api.crypto_addresses import simulated_deposit_address
from account_api.errors import Problem
from account_api.http.app import create_app
from account_api.http.forwarded import behind_proxies
from account_api.http.metrics import watch
from config.control import (
    LOAD_HISTORY,
    SERVE_METRICS,
    ControlError,
    ControlServer,
    ask,
    socket_path,
)
from config.health import Watch, health_verb
from config.process import get_logger, log_json_lines, run
from config.settings import Settings, load
from config.shipped import downloads, shipped
from engine.client import DirectEngineClient
from engine.history import reader as history

_GUNICORN_FILE: Final = Path(__file__).parent.parent / "config" / "gunicorn.conf.py"


def application() -> Any:
    """Make the WSGI application for gunicorn: ``account_api.main:application()``."""
    log_json_lines()
    settings = load()
    path, history_url = str(settings.engine.socket), settings.history.url
    wait_s = settings.engine.min_seq_wait_ms_max / 1000
    fix = socket_path(settings.data, "fix")

    def fix_messages(comp_id: str, cursor: str, limit: int) -> str:
        try:
            return ask(fix, "messages", comp_id, cursor, str(limit))
        except ControlError as error:
            raise Problem("gateway_unavailable", f"The messages cannot be read: {error}.") from None

    api = replace(
        api_settings(settings), docs=shipped("build/docs"), downloads=downloads,
        fix_messages=fix_messages, fix_dictionary=shipped("spec/FIX44.xml"),
    )  # fmt: skip
    # A venue with a short wait for min_seq may still have a busy engine.
    timeout_s = max(api.engine_timeout_s, wait_s + 1)
    app = create_app(
        api,
        lambda: DirectEngineClient(path, f"account_api:{os.getpid()}", timeout_s=timeout_s),
        lambda: history.open_reader(history_url),
        deposit_address=simulated_deposit_address(
            {(asset, network): form for asset, network, form in api.address_formats}
        ),
        parts=Watch(settings.data, (settings.engine.journal,), settings.fix.names).look,
    )
    behind: Any = behind_proxies(app.wsgi_app, settings.http.proxies)
    app.wsgi_app = behind  # type: ignore[method-assign]
    registry = watch(app)

    def serve_metrics() -> ControlServer:
        """Open the control socket of a worker; gunicorn's configuration calls this."""
        control = ControlServer(
            socket_path(settings.data, f"api-{os.getpid()}"), registry,
            health_verb(lambda: (None, "")),
        )  # fmt: skip
        control.start()
        return control

    app.extensions[SERVE_METRICS] = serve_metrics
    app.extensions[LOAD_HISTORY] = history.load_soon
    return app


def serve(settings: Settings) -> int:
    """Be gunicorn, which reads the configuration by itself."""
    sys.argv = ["gunicorn", "--config", str(_GUNICORN_FILE), "account_api.main:application()"]
    WSGIApplication("%(prog)s [OPTIONS] [APP_MODULE]").run()
    return 0


def main() -> int:
    """Run gunicorn in this process, which has already imported what its workers need."""
    return run(serve, get_logger("account_api"))


if __name__ == "__main__":
    sys.exit(main())
