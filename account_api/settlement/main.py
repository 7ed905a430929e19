"""Wiring of the settlement worker: ``python -m account_api.settlement``."""

from __future__ import annotations

import signal
import sqlite3
import sys
import threading
import time
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector

from account_api.settlement.derived import DerivedNetwork
from account_api.settlement.simulated import Behaviour, SimulatedNetwork
from account_api.settlement.worker import SettlementWorker
from account_api.simulation.counterparty import Counterparty
from config import simulation
from config.control import ControlServer, socket_path
from config.health import health_verb
from config.process import get_logger, on_signals, run, start_failure
from config.settings import Settings
from engine.client import EngineClient

TURN_LATE_S: Final = 10.0

log = get_logger("settlement")


def main() -> int:
    """Run until SIGTERM or SIGINT; returns 0 after a clean end, 2 for a wrong configuration, 4 if
    the disk is full or fails."""
    return run(serve, log)


def serve(settings: Settings) -> int:
    """Settle until SIGTERM or SIGINT; returns the exit code."""
    try:
        return settle(settings)
    except (OSError, sqlite3.Error) as error:
        code, reason = start_failure(error, settings.data)
        log.critical("stopped", reason=reason)
        return code


def settle(settings: Settings) -> int:
    """Wire the worker and run it; returns the exit code."""
    own = settings.settlement
    stopping = threading.Event()
    on_signals((signal.SIGTERM, signal.SIGINT), lambda _: stopping.set())

    def clock_us() -> int:
        return time.time_ns() // 1000

    behaviour = Behaviour(
        broadcast_delay_us=own.broadcast_delay_ms * 1000,
        confirmation_delay_us=own.confirmation_delay_ms * 1000,
        fail_prefix=own.fail_prefix,
        reorganise_prefix=own.reorganise_prefix,
    )
    engine = EngineClient(str(settings.engine.socket), "settlement")
    network: SimulatedNetwork | DerivedNetwork
    if settings.http.shared:
        network = DerivedNetwork(engine, behaviour, clock_us)
    else:
        network = SimulatedNetwork(settings.data / "network.db", behaviour, clock_us)
    worker = SettlementWorker(
        engine, network, clock_us, own.queue_delay_ms * 1000, settings.http.shared
    )
    registry = CollectorRegistry()
    steps = Counter("tandem_settlement_steps", "Steps of withdrawals", registry=registry)
    turned = Gauge(
        "tandem_settlement_last_turn_timestamp_seconds", "When the worker last looked at all",
        registry=registry,
    )  # fmt: skip

    last_turn = time.monotonic()

    def on_turn(done: int) -> None:
        nonlocal last_turn
        last_turn = time.monotonic()
        steps.inc(done)
        turned.set(clock_us() / 1e6)

    def health() -> tuple[None, str]:
        silent_s = time.monotonic() - last_turn
        late = silent_s > TURN_LATE_S + own.poll_ms / 1000
        return None, f"no turn was completed for {silent_s:.0f} s" if late else ""

    ProcessCollector(registry=registry)
    control = ControlServer(
        socket_path(settings.data, "settlement"), registry, health_verb(health)
    )
    control.start()
    if settings.simulation.enabled:
        counterparty = Counterparty(
            engine, settings.simulation.symbol, simulation.ACCOUNT, clock_us
        )
        threading.Thread(
            target=counterparty.run, args=(stopping,), name="counterparty", daemon=True
        ).start()
    log.info("ready", mode=own.mode, engine=str(settings.engine.socket))
    try:
        worker.run(stopping, own.poll_ms / 1000, on_turn)
    finally:
        control.close()
        engine.close()
        network.close()
    log.info("ended")
    return 0


if __name__ == "__main__":
    sys.exit(main())
