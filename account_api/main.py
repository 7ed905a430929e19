"""The process: ``python -m account_api.main`` reads the configuration and runs gunicorn.

gunicorn calls ``application()`` of this module; nothing is opened before a worker exists, except
the shared memory of the rate limits.
"""

from __future__ import annotations

import base64
import os
import sys
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final

import structlog
from gunicorn.app.wsgiapp import WSGIApplication

from account_api import ApiKey, ApiSettings, RateLimit, create_app
from account_api.crypto_addresses import simulated_deposit_address
from account_api.http.docs import built_site
from account_api.http.forwarded import behind_proxies
from account_api.http.metrics import watch
from account_api.settings import Page
from config.control import SERVE_METRICS, ControlServer, socket_path
from config.health import Watch, health_verb
from config.model import Faucet
from config.process import log_json_lines, run
from config.settings import Key, Settings, load
from config.shipped import shipped
from engine.client import DirectEngineClient
from engine.history.queries import open_reader

_GUNICORN_FILE: Final = Path(__file__).parent.parent / "config" / "gunicorn.conf.py"


def api_settings(settings: Settings) -> ApiSettings:
    """Select the settings that the API needs."""
    http = settings.http
    limits = (
        ("read", RateLimit(http.read_quota, http.rate_window_s)),
        ("trade", RateLimit(http.trade_quota, http.rate_window_s)),
        ("money", RateLimit(http.money_quota, http.rate_window_s)),
    )
    return ApiSettings(
        keys=tuple(_api_key(key) for key in settings.keys if key.enabled),
        body_bytes_max=http.body_bytes_max,
        window_ms=http.window_ms,
        wait_ms_max=min(2_000, settings.engine.min_seq_wait_ms_max),
        address_formats=tuple(
            (one.asset, one.network, one.address_format)
            for one in settings.networks
            if one.address_format
        ),
        rate_limits=limits,
        answers=str(settings.data / "answers.db"),
        logins=str(settings.data / "logins.db"),
        key_file=str(settings.data / "keys.db"),
        key_master=str(settings.data / "keys.master"),
        faucet=_faucet(settings),
        page=_page(settings),
        proxies=frozenset(http.proxies),
        docs=built_site(shipped("build/docs")),
    )


def _faucet(settings: Settings) -> Faucet | None:
    faucet = settings.faucet
    return None if settings.environment == "production" or not faucet.portions else faucet


_OFFERED: Final = {"trade", "withdraw", "approve", "operator"}
"""Scopes of the demo's keys that the page offers by name."""


def _page(settings: Settings) -> Page:
    robots = (settings.bots.maker_key, settings.bots.taker_key)
    return Page(
        environment=settings.environment,
        stream_url=settings.stream.public_url,
        stream_port=settings.stream.port,
        demo_keys=tuple(
            key.key
            for key in settings.keys
            if settings.environment == "demo" and key.enabled and key.key not in robots
            and key.secret == f"{key.key}-secret" and _OFFERED & set(key.scopes)
            and "keys" not in key.scopes
        ),
    )


def _api_key(key: Key) -> ApiKey:
    return ApiKey(
        key=key.key,
        kind="hmac" if key.kind == "operator" else key.kind,
        account=key.account,
        firm=key.firm,
        user=key.user,
        scopes=frozenset(key.scopes),
        secret=key.secret.encode(),
        token_sha256=key.token_sha256,
        public_key=base64.b64decode(key.public_key),
        allow=tuple(ip_network(text) for text in key.allow),
    )


def application() -> Any:
    """Make the WSGI application for gunicorn: ``account_api.main:application()``."""
    log_json_lines()
    settings = load()
    path, history_url = str(settings.engine.socket), settings.history.url
    wait_s = settings.engine.min_seq_wait_ms_max / 1000
    api = api_settings(settings)
    # A venue with a short wait for min_seq may still have a busy engine.
    timeout_s = max(api.engine_timeout_s, wait_s + 1)
    app = create_app(
        api,
        lambda: DirectEngineClient(path, f"account_api:{os.getpid()}", timeout_s=timeout_s),
        lambda: open_reader(history_url),
        deposit_address=simulated_deposit_address(
            {(asset, network): form for asset, network, form in api.address_formats}
        ),
        parts=Watch(settings.data, (settings.engine.journal,)).look,
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
    return app


def serve(settings: Settings) -> int:
    """Be gunicorn, which reads the configuration by itself."""
    sys.argv = ["gunicorn", "--config", str(_GUNICORN_FILE), "account_api.main:application()"]
    WSGIApplication("%(prog)s [OPTIONS] [APP_MODULE]").run()
    return 0


def main() -> int:
    """Run gunicorn in this process, which has already imported what its workers need."""
    return run(serve, structlog.get_logger("account_api"))


if __name__ == "__main__":
    sys.exit(main())
