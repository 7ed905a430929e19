"""What the gateway as a whole is told, and what QuickFIX is told of it and of each session.

``main.py`` makes these from the configuration; a session's settings are that one's own
(``config.model.SessionSettings``). Times end in their unit. Nothing here reads a file or a clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from config.model import SessionSettings
from fix_gateway.quickfix_import import quickfix

BEGIN_STRING: Final = "FIX.4.4"
PASSING: Final = "marketdata.passing"
"""The Unix socket, among the control sockets, by which the door passes clients on."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One of the gateways of this machine: its store, and the Unix socket by which it is passed
    clients."""

    store: Path
    passing_socket: Path


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """The gateway as a whole. Every queue and every wait has its bound here.

    ``unanswered_max`` bounds the commands that wait for the engine; past it sessions are cut
    and their messages asked for again. ``outstanding_bytes_max`` bounds what a client may
    leave unread, ``received_bytes_max`` what it may send without one whole message.
    ``connections_max`` and ``address_connections_max`` bound the connections whose Logon has not
    passed; those that are logged on are bounded by the sessions that there are.
    A connection from an address in ``proxies`` begins with a PROXY header, and no other may;
    with ``proxy_protocol`` no other is let in at all. Orders of ``simulated_symbol`` choose faults
    of the session (``runtime/faults.py``); "" on every venue that is not a test-net.
    """

    host: str
    port: int
    comp_id: str
    store: Path
    dictionary: Path
    proxy_protocol: bool = False
    proxies: frozenset[str] = frozenset()
    simulated_symbol: str = ""
    connections_max: int = 256
    address_connections_max: int = 128
    logon_bytes_max: int = 4096
    logon_timeout_s: float = 5.0
    refusal_delay_s: float = 0.25
    refusal_delay_max_s: float = 5.0
    addresses_remembered_max: int = 4096
    sending_time_window_us: int = 120_000_000
    signed_past_us: int = 5_000_000
    signed_future_us: int = 1_000_000
    stale_after_us: int = 5_000_000
    heartbeat_s_max: int = 300
    unanswered_max: int = 20_000
    requests_max: int = 1_000
    held_transactions_max: int = 2_000
    outstanding_bytes_max: int = 1 << 20
    outstanding_timeout_s: float = 20.0
    received_bytes_max: int = 4 << 20
    unclean_margin: int = 1_000_000
    shared: bool = False
    """Other gateways serve the same sessions: see ``session/holding.py``."""
    silence_s: float = 10.0
    """Where it is shared: the engine takes a gateway that says nothing for so long for gone."""
    holder: str = ""
    """The name of this one, where it is shared."""
    explain_refusals: bool = False
    """Strangers are told why they are not let in, and so is the console; never in production."""
    passing_socket: Path = Path("marketdata.passing")
    """Where the process listens that market data sessions are passed on to."""
    number: int = 1
    """Which of the machine's gateways this is; the first has the door."""
    neighbours: tuple[Neighbour, ...] = ()
    """All of them by their numbers, this one too, where there are several."""

    @property
    def signed_logons(self) -> Path:
        """Where it is recorded which signed Logons were used: once for all gateways."""
        return self.neighbours[0].store if self.neighbours else self.store


def quickfix_settings(
    settings: GatewaySettings, sessions: Iterable[SessionSettings], port: int, dictionary: Path,
    *, resends: bool = True,
) -> quickfix.SessionSettings:
    """Return the settings of QuickFIX's acceptor, which ``resends`` what it keeps for that.

    It never resets by itself, not even where a session's numbers begin again with each Logon:
    an epoch has to be journalled first, so the gateway does it.
    """
    result = quickfix.SessionSettings()
    for session in sessions:
        values = {
            "ConnectionType": "acceptor",
            "SocketAcceptPort": str(port),
            "SocketNodelay": "Y",
            "NonStopSession": "Y",
            "FileStorePath": str(settings.store),
            "DataDictionary": str(dictionary),
            "TimestampPrecision": "6",
            "CheckLatency": "Y",
            "MaxLatency": str(settings.sending_time_window_us // 1_000_000),
            "ResetOnLogon": "N",
            "ValidateUserDefinedFields": "Y",
            "PersistMessages": "Y" if resends else "N",
        }
        table = quickfix.Dictionary()
        for key, value in values.items():
            table.setString(key, value)
        result.set(session_id(settings, session.comp_id), table)
    return result


def session_id(settings: GatewaySettings, comp_id: str) -> quickfix.SessionID:
    """Return QuickFIX's name of a session, seen from our side."""
    return quickfix.SessionID(BEGIN_STRING, settings.comp_id, comp_id)
