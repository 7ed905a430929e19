"""The gateway process: read the configuration, wire the gateway, wait for a signal.

``python -m fix_gateway.main NAME`` is one of several (``[fix] gateways``): fix, fix2 and so on.
Without a name it is the first, which has the port, and which operators ask.

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
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector

from config.control import (
    ControlError,
    ControlServer,
    Refusal,
    Verb,
    ask,
    control_folder,
    socket_path,
)
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
from fix_gateway.settings import PASSING, GatewaySettings, Neighbour

FILES_OF_CONNECTION: Final = 3
FILES_OF_SESSION: Final = 5
"""QuickFIX keeps four open for each session that there is, connected or not."""
FILES_SPARE: Final = 512
ENGINE_RETRY_S: Final = 0.1
SWITCH_INTERVAL_S: Final = 0.0005
"""How long a Python thread may keep QuickFIX's thread waiting: a tenth of the default."""
DICTIONARY: Final = shipped("spec/FIX44.xml")

log = get_logger("fix_gateway")


def gateway_settings(settings: Settings, number: int = 1) -> GatewaySettings:
    """Return the configuration of the gateway with this number."""
    fix = settings.fix
    folder = control_folder(settings.data)
    neighbours = (
        Neighbour(store, folder / f"{name}.passing")
        for name, store in zip(fix.names, fix.stores, strict=True)
    )
    return GatewaySettings(
        host=fix.host,
        port=fix.port,
        comp_id=fix.comp_id,
        store=fix.stores[number - 1],
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
        passing_socket=folder / PASSING,
        number=number,
        neighbours=tuple(neighbours) if fix.gateways > 1 else (),
        silence_s=float(fix.silence_s),
    )


def serve(settings: Settings, name: str = "fix") -> int:
    """Run the gateway of this name until a signal; return the exit code. Raises ValueError."""
    sessions, names = settings.sessions, settings.fix.names
    if name not in names:
        raise ValueError(
            f"there is no gateway {name!r}: gateways = {len(names)} under [fix] in {settings.file} "
            f"makes {', '.join(names)}"
        )
    number = names.index(name) + 1
    allow_files(
        FILES_OF_CONNECTION * (settings.fix.connections_max + len(sessions))
        + FILES_OF_SESSION * len(sessions)
        + FILES_SPARE
    )

    ending = Ending()
    gateway = Gateway(
        gateway_settings(settings, number),
        sessions,
        str(settings.engine.socket),
        settings.history.url,
        wall_clock_us,
        ending.fail,
        market_data_terms(settings),
    )
    if not start(gateway, settings.fix.inner_ports[number - 1], ending.stopping):
        return 0
    known = verbs(gateway)
    if number == 1 and len(names) > 1:
        known = everywhere(known, gateway, [socket_path(settings.data, each) for each in names])
    control = ControlServer(socket_path(settings.data, name), registry(gateway), known)
    control.start()
    collect_seldom()
    OneProcessor().start()
    if number == 1:
        host, port = gateway.address
        log.info("ready", fix=f"{host}:{port}", comp_id=settings.fix.comp_id)
    else:
        log.info("ready", gateway=name, comp_id=settings.fix.comp_id)
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


def everywhere(
    own: Mapping[str, Verb], gateway: Gateway, others: Sequence[Path]
) -> dict[str, Verb]:
    """Return the verbs of the first of several gateways, which passes on what concerns another.

    ``others`` are the control sockets of all of them, in the order of their numbers.
    """

    def where_it_is(name: str) -> Verb:
        def verb(words: list[str]) -> str:
            number = gateway.elsewhere(words[0]) if words else 0
            return told(number, name, words) if number else own[name](words)

        return verb

    def told(number: int, name: str, words: list[str]) -> str:
        try:
            return ask(others[number - 1], name, *words)
        except ControlError as error:
            raise Refusal(str(error)) from None

    def announce(words: list[str]) -> str:
        lines = [own["announce"](words)]
        for number in range(2, len(others) + 1):
            try:
                lines.append(told(number, "announce", words))
            except Refusal as error:
                lines.append(f"Not announced: {error}")
        return "\n".join(
            f"Gateway {number}: {line}" for number, line in enumerate(lines, 1)
        )

    passed_on = {name: where_it_is(name) for name in ("kick", "reset", "messages")}
    return {**own, **passed_on, "announce": announce}


def allow_files(count: int) -> None:
    """Let the process open this many files, or as many as it is allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def start(gateway: Gateway, inner_port: int, stopping: threading.Event) -> bool:
    """Start the gateway as soon as its port and the engine are there; False when told to stop.

    The first gateway takes the port before all else, so that nobody else gets it meanwhile; clients
    are refused until the door is open. ``inner_port`` 0 is any free one.
    """
    settings, listener = gateway.settings, None
    if settings.number == 1:
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
        if listener is not None:
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
    return run(
        lambda settings: serve(settings, " ".join(sys.argv[1:]) or "fix"), log, explain,
        "gateway_not_started",
    )  # fmt: skip


if __name__ == "__main__":
    leave(main())
