"""The market data process: read the configuration, wire it, wait for a signal.

SIGTERM and SIGINT end it in order; SIGHUP takes changed settings of sessions that are known. Exit
codes: 0 a clean stop, 2 a wrong configuration, 4 what it needs cannot be had, or the engine refuses
to be followed: a new process may.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector

from config.control import ControlServer, Refusal, Verb, control_folder, socket_path
from config.health import health_verb
from config.model import Settings
from config.ports import free_ports
from config.process import (
    EXIT_CONFIGURATION,
    EXIT_UNAVAILABLE,
    Ending,
    Failure,
    collect_seldom,
    get_logger,
    leave,
    run,
    wall_clock_us,
)
from config.settings import load
from config.shipped import shipped
from fix_gateway.control import ControlRefused
from fix_gateway.market_data.hosting import market_data_terms
from fix_gateway.market_data.metrics import MarketDataMetrics
from fix_gateway.market_data.process import MarketDataProcess
from fix_gateway.runtime.replay import open_history
from fix_gateway.session.handover import HandOverError
from fix_gateway.settings import PASSING, GatewaySettings

NICENESS: Final = 2
"""Order entry goes first where processors are short."""

log = get_logger("market_data")


def make(settings: Settings, on_failed: Callable[[], None]) -> MarketDataProcess:
    """Wire the process."""
    fix = settings.fix
    gateway = GatewaySettings(
        host=fix.host,
        port=fix.port,
        comp_id=fix.comp_id,
        store=fix.store / "market_data",
        dictionary=shipped("spec/FIX44.xml"),
        logon_timeout_s=float(fix.logon_timeout_s),
    )
    url = settings.history.url
    return MarketDataProcess(
        gateway,
        [session for session in settings.sessions if session.kind == "market_data"],
        market_data_terms(settings),
        control_folder(settings.data) / PASSING,
        str(settings.engine.socket),
        lambda: open_history(url),
        wall_clock_us,
        on_failed,
    )


def serve(settings: Settings) -> int:
    """Run until a signal; return the exit code."""
    ending = Ending()
    process = make(settings, ending.fail)
    process.start(free_ports(1, "")[0])
    registry = CollectorRegistry()
    registry.register(
        MarketDataMetrics(
            process.service, process.sessions, lambda: [c.name for c in process.connections()]
        )
    )
    ProcessCollector(registry=registry)
    control = ControlServer(socket_path(settings.data, "marketdata"), registry, verbs(process))
    control.start()
    collect_seldom()
    log.info("ready", sessions=len(process.sessions))
    ending.wait(
        lambda: process.reload(s for s in load().sessions if s.kind == "market_data"), log
    )
    control.close()
    process.stop()
    log.info("stopped")
    return ending.code


def verbs(process: MarketDataProcess) -> dict[str, Verb]:
    """Return what an operator may ask for on the control socket."""

    def kick(words: list[str]) -> str:
        if len(words) != 1:
            raise Refusal("name one session, by its CompID")
        try:
            return process.kick(words[0])
        except ControlRefused as error:
            raise Refusal(str(error)) from None

    def health() -> tuple[int | None, str]:
        if not process.sessions:
            return None, ""  # It follows nothing where nobody may read.
        trouble = "" if process.service.available else "there is no market: is the engine up"
        return process.service.position, trouble

    return {
        **health_verb(health),
        "announce": lambda words: process.announce(" ".join(words)),
        "connected": lambda _: " ".join(sorted(c.name for c in process.connections())),
        "kick": kick,
    }


def explain(error: Exception) -> Failure | None:
    """Return what an error means that only this process knows."""
    if isinstance(error, HandOverError):
        return Failure(EXIT_UNAVAILABLE, str(error))
    if isinstance(error, ValueError):
        return Failure(EXIT_CONFIGURATION, str(error))
    return None


def main() -> int:
    """Run the process; return the exit code."""
    os.nice(NICENESS)
    return run(serve, log, explain, "not_started")


if __name__ == "__main__":
    leave(main())
