"""The gateway process: read the configuration, wire the gateway, wait for a signal.

SIGTERM and SIGINT end it in order; SIGHUP reads the configuration again and takes changed
credentials, limits and permissions of sessions that are known. Exit codes: 0 a clean stop,
2 a wrong configuration, 4 what it needs cannot be had (room in its store, the engine) or the
engine's record cannot be followed any further by this process: a new one may. For its port it
waits, as for an engine that is not there yet.
"""

from __future__ import annotations

import resource
import sys
import threading
from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector

from config.control import ControlServer, Refusal, Verb, control_folder, socket_path
from config.health import health_verb
from config.model import Settings
from config.ports import free_ports, take
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
from config.processor import OneProcessor
from config.settings import load
from config.shipped import shipped
from engine.client import EngineError, EngineUnavailable
from fix_gateway.control import ControlRefused
from fix_gateway.gateway import Gateway
from fix_gateway.market_data.hosting import market_data_terms
from fix_gateway.metrics import GatewayMetrics
from fix_gateway.session.handover import HandOverError
from fix_gateway.settings import PASSING, GatewaySettings

FILES_OF_CONNECTION: Final = 3
FILES_OF_SESSION: Final = 5
"""QuickFIX keeps four open for each session that there is, connected or not."""
FILES_SPARE: Final = 512
ENGINE_RETRY_S: Final = 0.1
SWITCH_INTERVAL_S: Final = 0.0005
"""How long a Python thread may keep QuickFIX's thread waiting: a tenth of the default."""
DICTIONARY: Final = shipped("spec/FIX44.xml")

log = get_logger("fix_gateway")


def gateway_settings(settings: Settings) -> GatewaySettings:
    """Return the gateway's part of the configuration."""
    fix = settings.fix
    return GatewaySettings(
        host=fix.host,
        port=fix.port,
        comp_id=fix.comp_id,
        store=fix.store / "store",
        dictionary=DICTIONARY,
        proxy_protocol=fix.proxy_protocol,
        proxies=frozenset(fix.trusted_proxies),
        connections_max=fix.connections_max,
        address_connections_max=max(1, fix.connections_max // 2),
        logon_timeout_s=float(fix.logon_timeout_s),
        stale_after_us=fix.stale_after_s * 1_000_000,
        heartbeat_s_max=fix.heartbeat_s_max,
        outstanding_bytes_max=fix.outstanding_bytes_max,
        explain_refusals=settings.explains_refusals,
        simulated_symbol=settings.simulation.symbol,
        shared=fix.shared,
        passing_socket=control_folder(settings.data) / PASSING,
    )


def serve(settings: Settings) -> int:
    """Run until a signal; return the exit code."""
    sessions = settings.sessions
    allow_files(
        FILES_OF_CONNECTION * (settings.fix.connections_max + len(sessions))
        + FILES_OF_SESSION * len(sessions)
        + FILES_SPARE
    )

    ending = Ending()
    gateway = Gateway(
        gateway_settings(settings),
        sessions,
        str(settings.engine.socket),
        settings.history.url,
        wall_clock_us,
        ending.fail,
        market_data_terms(settings),
    )
    if not start(gateway, settings.fix.inner_port, ending.stopping):
        return 0
    control = ControlServer(socket_path(settings.data, "fix"), registry(gateway), verbs(gateway))
    control.start()
    collect_seldom()
    OneProcessor().start()
    host, port = gateway.address
    log.info("ready", fix=f"{host}:{port}", comp_id=settings.fix.comp_id)
    ending.wait(lambda: gateway.reload(load().sessions), log)
    control.close()
    gateway.stop()
    log.info("stopped")
    return ending.code


def registry(gateway: Gateway) -> CollectorRegistry:
    """Return the gateway's metrics and those of its process."""
    found = CollectorRegistry()
    found.register(GatewayMetrics(gateway))
    ProcessCollector(registry=found)
    return found


def verbs(gateway: Gateway) -> dict[str, Verb]:
    """Return what an operator may ask for on the control socket."""

    def of_one_session(act: Callable[[str], str]) -> Verb:
        def verb(words: list[str]) -> str:
            if len(words) != 1:
                raise Refusal("name one session, by its CompID")
            try:
                return act(words[0])
            except ControlRefused as error:
                raise Refusal(str(error)) from None

        return verb

    def announce(words: list[str]) -> str:
        try:
            return gateway.announce(" ".join(words))
        except ControlRefused as error:
            raise Refusal(str(error)) from None

    def messages(words: list[str]) -> str:
        if len(words) != 3 or not words[2].isdecimal():
            raise Refusal("name one session, a cursor or -, and how many messages")
        try:
            return gateway.messages(words[0], words[1], int(words[2]))
        except ControlRefused as error:
            raise Refusal(str(error)) from None

    def health() -> tuple[int, str]:
        connected = gateway.outbox.online
        return gateway.delivery.position, "" if connected else "the engine is not connected"

    return {
        **health_verb(health),
        "announce": announce,
        "messages": messages,
        "kick": of_one_session(gateway.kick),
        "reset": of_one_session(gateway.reset),
    }


def allow_files(count: int) -> None:
    """Let the process open this many files, or as many as it is allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def start(gateway: Gateway, inner_port: int, stopping: threading.Event) -> bool:
    """Start the gateway as soon as its port and the engine are there; False when told to stop.

    The port is taken first, so that nobody else gets it meanwhile; clients are refused until the
    door is open. ``inner_port`` 0 is any free one.
    """
    settings = gateway.settings
    listener = take(
        settings.host, settings.port, stopping,
        lambda reason: log.error("waiting_for_port", reason=reason),
    )  # fmt: skip
    if listener is None:
        return False
    waiting = False
    while not stopping.is_set():
        try:
            gateway.connect()
            break
        except EngineUnavailable as error:
            if not waiting:
                log.info("waiting_for_engine", reason=str(error))
            waiting = True
            stopping.wait(ENGINE_RETRY_S)
    if stopping.is_set():
        listener.close()
        return False
    gateway.start(inner_port or free_ports(1, "")[0], listener)
    return True


def explain(error: Exception) -> Failure | None:
    """What an error means that only this process knows."""
    if isinstance(error, EngineError | HandOverError):
        return Failure(EXIT_UNAVAILABLE, str(error))
    if isinstance(error, ValueError):
        return Failure(EXIT_CONFIGURATION, str(error))
    return None


def main() -> int:
    """Run the gateway; return the exit code."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    return run(serve, log, explain, "gateway_not_started")


if __name__ == "__main__":
    leave(main())
