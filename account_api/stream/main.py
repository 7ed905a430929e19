"""The process: ``python -m account_api.stream``. Wiring only."""

from __future__ import annotations

import asyncio
import signal
import time

from prometheus_client import CollectorRegistry, ProcessCollector

from account_api.configuration import api_settings
from account_api.descriptors import descriptors
from account_api.routes import ROUTES
from account_api.stream.hub import Hub
from account_api.stream.metrics import StreamMetrics
from account_api.stream.server import StreamServer
from account_api.stream.settings import StreamSettings
from config import process
from config.control import ControlServer, socket_path
from config.health import health_verb
from config.process import get_logger, start_failure
from config.settings import Settings
from engine.history import reader as history

log = get_logger("account_api.stream")


def _connections(wanted: int) -> int:
    """Return how many clients can be served at once, and say if it is fewer than were wanted."""
    found = descriptors(wanted)
    if found < wanted:
        log.warning(
            "descriptors_scarce", connections=found,
            reason=f"stream.connections_max is {wanted}; raise the hard limit of open files",
        )  # fmt: skip
    return found


async def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    server = StreamServer(
        StreamSettings(
            api=api_settings(settings),
            engine_path=str(settings.engine.socket),
            host=settings.stream.host,
            port=settings.stream.port,
            connections_max=_connections(settings.stream.connections_max),
            deflate_bytes_min=settings.stream.deflate_bytes_min,
            simulated_symbol=settings.simulation.symbol,
        ),
        ROUTES,
        lambda: history.open_reader(settings.history.url),
        lambda: time.time_ns() // 1000,
    )
    registry = CollectorRegistry()
    registry.register(StreamMetrics(server.hub))
    ProcessCollector(registry=registry)
    control = ControlServer(
        socket_path(settings.data, "stream"), registry, health_verb(lambda: _health(server.hub))
    )
    control.start()
    async with server.running() as listening:
        port = listening.sockets[0].getsockname()[1]
        log.info("listening", port=port)
        await first_of(server.hub.ready, ended)
        if not ended.is_set():
            log.info("ready", url=f"ws://{settings.stream.host}:{port}/v1/stream")
            history.load_soon()
        await ended.wait()
    control.close()
    log.info("ended")


def _health(hub: Hub) -> tuple[int, str]:
    trouble = "" if hub.connected else "the engine is not connected"
    return hub.as_of_seq, trouble


async def first_of(*events: asyncio.Event) -> None:
    """Wait until one of the events is set."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code."""
    try:
        asyncio.run(run(settings))
    except OSError as error:
        code, reason = start_failure(error)
        log.critical("not_started", reason=f"the stream cannot listen or write: {reason}")
        return code
    except BaseExceptionGroup as group:
        log.error("stopped", exc_info=group)
        return 1
    return 0


def main() -> int:
    """Run; 0 after a clean end, 1 after a fault, 2: wrong configuration, 4: no port or disk."""
    return process.run(serve, log)
