"""The process: ``python -m bots.main`` runs the maker and the takers. Wiring only.

It is ready at once: a venue must not wait for its customers.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, ProcessCollector

from bots.appetite import Appetite
from bots.fix_taker import FixAccess, FixTaker
from bots.maker import Maker, Plan
from bots.metrics import BotMetrics
from bots.stream_taker import StreamTaker
from bots.venue import account_api
from config.control import ControlServer, socket_path
from config.process import EXIT_CONFIGURATION, on_signals, run
from config.settings import Settings

END_S: Final = 4.0
_log: Final = structlog.get_logger("bots")


def _secret(settings: Settings, name: str) -> str:
    return next((key.secret for key in settings.keys if key.key == name), "")


def _host(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def bots(settings: Settings, stop: threading.Event) -> tuple[Maker, FixTaker, StreamTaker]:
    """Return the bots of these settings; the takers share the rate of orders."""
    wanted = settings.bots
    base = f"http://{_host(settings.http.host)}:{settings.http.port}"
    stream = f"ws://{_host(settings.stream.host)}:{settings.stream.port}/v1/stream"
    rate = max(1, wanted.orders_per_minute // 2)
    plan = Plan(
        wanted.seed, wanted.step_ms / 1000, wanted.levels, wanted.prices, wanted.quantities
    )
    session = next(one for one in settings.sessions if one.comp_id == wanted.taker_comp_id)
    access = FixAccess(
        settings.fix.host, settings.fix.port, session.comp_id, settings.fix.comp_id,
        session.username, wanted.taker_password,
    )  # fmt: skip
    return (
        Maker(
            account_api(base, wanted.maker_key, _secret(settings, wanted.maker_key)), plan, stop
        ),
        FixTaker(
            access, account_api(base), Appetite(f"{wanted.seed}:fix", rate), wanted.quantities,
            stop,
        ),
        StreamTaker(
            stream, wanted.taker_key, _secret(settings, wanted.taker_key),
            Appetite(f"{wanted.seed}:stream", rate), wanted.quantities, stop,
        ),
    )  # fmt: skip


def serve(settings: Settings) -> int:
    """Trade until SIGTERM or SIGINT; return the exit code."""
    if settings.environment == "production":
        _log.critical("not_started", reason="bots are for test-nets, and this is production")
        return EXIT_CONFIGURATION
    stop = threading.Event()
    on_signals((signal.SIGTERM, signal.SIGINT), lambda _: stop.set())
    failed: list[str] = []

    def live(run: Callable[[], None]) -> None:
        """An unexpected failure of one bot ends all of them; the process is then restarted."""
        name = threading.current_thread().name
        try:
            run()
        except Exception as error:
            failed.append(name)
            _log.error("failed", bot=name, exc_info=error)
            stop.set()

    company = bots(settings, stop)
    registry = CollectorRegistry()
    registry.register(BotMetrics(company))
    ProcessCollector(registry=registry)
    control = ControlServer(socket_path(settings.data, "bots"), registry, {})
    control.start()
    threads = [
        threading.Thread(target=live, args=(bot.run,), name=type(bot).__name__, daemon=True)
        for bot in company
    ]
    for thread in threads:
        thread.start()
    _log.info("ready", bots=[thread.name for thread in threads])
    stop.wait()
    control.close()
    deadline = time.monotonic() + END_S
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    _log.info("ended")
    code = 1 if failed else 0
    if any(thread.is_alive() for thread in threading.enumerate() if thread.daemon):
        # A thread that is inside QuickFIX's C++ would make the interpreter's end an abort.
        sys.stderr.flush()
        os._exit(code)
    return code


def main() -> int:
    """Return 0 after a clean stop, 2 for a wrong configuration, 4 without its control socket."""
    return run(serve, _log)


if __name__ == "__main__":
    sys.exit(main())
