"""Wiring of the process: ``python -m account_api.webhooks``.

A venue where nobody ever registered an endpoint has no file of them. Until there is one, nothing of
what delivers is imported or opened.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, ProcessCollector

from account_api.webhooks.metrics import WebhookMetrics
from config.control import ControlServer, socket_path
from config.process import get_logger, run, start_failure
from config.settings import Settings

if TYPE_CHECKING:
    from account_api.webhooks.deliverer import Deliverer
    from account_api.webhooks.shared_store import SharedWebhookStore
    from engine.client import DirectEngineClient

LOOK_S: Final = 0.5
"""How often to look whether there is a file of endpoints."""

log = get_logger("webhooks")


def main() -> int:
    """Run until SIGTERM or SIGINT; returns 0 after a clean end, 2 for a wrong configuration, 4 if
    the disk is full or fails."""
    return run(serve, log)


def serve(settings: Settings) -> int:
    """Deliver until SIGTERM or SIGINT; returns the exit code."""
    try:
        asyncio.run(_Service(settings).run())
    except OSError as error:
        code, reason = start_failure(error, settings.data)
        log.critical("stopped", reason=reason)
        return code
    return 0


class _Service:
    """The process: waits for the first endpoint, then delivers."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stopping = asyncio.Event()
        self._deliverer: Deliverer | None = None

    async def run(self) -> None:
        """Serve until a signal."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        registry = CollectorRegistry()
        registry.register(WebhookMetrics(lambda: self._deliverer))
        ProcessCollector(registry=registry)
        control = ControlServer(
            socket_path(self._settings.data, "webhooks"), registry, {"health": self._health}
        )
        control.start()
        log.info("ready")
        try:
            file = self._settings.data / "webhooks.db"
            shared = self._settings.http.shared
            while not self._stopping.is_set() and not (shared or file.exists()):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await self._stopping.wait()
            if not self._stopping.is_set():
                await self._deliver()
        finally:
            control.close()
        log.info("ended")

    def _stop(self) -> None:
        self._stopping.set()
        if self._deliverer is not None:
            self._deliverer.stop()

    def _health(self, _: list[str]) -> str:
        deliverer = self._deliverer
        trouble = note = ""
        if deliverer is not None:
            trouble = deliverer.trouble
            failing = sum(one.is_failing for one in deliverer.endpoints)
            if failing:
                note = f"works; {failing} of {len(deliverer.endpoints)} endpoints fail"
        return json.dumps({"seq": None, "trouble": trouble, "note": note})

    async def _deliver(self) -> None:
        from account_api.webhooks.deliverer import Deliverer
        from account_api.webhooks.events import Source
        from account_api.webhooks.post import Poster
        from account_api.webhooks.store import WebhookStore
        from account_api.webhooks.targets import Policy
        from engine.history import reader as history

        settings, own = self._settings, self._settings.webhooks
        master = str(settings.data / "keys.master")
        alone = WebhookStore(str(settings.data / "webhooks.db"), master)
        store: WebhookStore | SharedWebhookStore = alone
        engine: DirectEngineClient | None = None
        if settings.http.shared:
            from account_api.shared import EngineRecords
            from account_api.webhooks.shared_store import SharedWebhookStore
            from engine.client import DirectEngineClient, queries

            engine = client = DirectEngineClient(str(settings.engine.socket), "webhooks")
            store = SharedWebhookStore(EngineRecords(lambda: client), alone, master)

        def acts() -> bool:
            return engine is None or engine.fetch(queries.Standing()).value.leads

        policy = Policy(
            tuple(ip_network(text) for text in own.allow), settings.environment == "production"
        )
        poster = Poster(policy, own.timeout_ms / 1000)
        self._deliverer = Deliverer(
            store, lambda: Source(history.open_reader(settings.history.url)), poster.post,
            poll_s=own.poll_ms / 1000, give_up_s=own.give_up_h * 3600, acts=acts,
        )  # fmt: skip
        try:
            await self._deliverer.run()
        finally:
            poster.close()
            store.close()
            if engine is not None:
                engine.close()


if __name__ == "__main__":
    sys.exit(main())
