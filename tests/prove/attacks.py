"""Attacks on a venue: each is a context, and while it lasts others measure what they have of it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from engine import wire
from engine.client import EngineClient, queries
from engine.core.commands import MassCancel, NewOrder
from engine.core.types import OrdType, Origin, Side, TimeInForce
from tests.fix.rawfix import RawFix, encode, now_text
from tests.prove.venue import Venue

_UPGRADE: Final = (
    b"GET /v1/stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
Attack = Callable[[Venue, int], "contextlib.AbstractContextManager[None]"]


def _connections(address: tuple[str, int], count: int, data: bytes = b"") -> list[socket.socket]:
    """Connections that say so much and no more; fewer, where no more are taken."""
    found = []
    for _ in range(count):
        try:
            one = socket.create_connection(address, 2)
            if data:
                one.sendall(data)
            found.append(one)
        except OSError:
            continue  # Refused, which is one way to be protected.
    return found


@contextlib.contextmanager
def _held(sockets: list[socket.socket]) -> Iterator[None]:
    """Keep connections while the attack lasts."""
    try:
        yield
    finally:
        for one in sockets:
            one.close()


def _http(venue: Venue) -> tuple[str, int]:
    host, port = venue.url.removeprefix("http://").split(":")
    return host, int(port)


def _stream(venue: Venue) -> tuple[str, int]:
    host, port = venue.stream_url.removeprefix("ws://").split("/")[0].split(":")
    return host, int(port)


def fix_flood(venue: Venue, count: int) -> contextlib.AbstractContextManager[None]:
    """Silent connections and half Logons on the FIX port."""
    sockets = _connections(venue.fix, count)
    return _held(sockets + _connections(venue.fix, 40, b"8=FIX.4.4\x019=100\x0135=A\x01"))


@contextlib.contextmanager
def fix_idle(venue: Venue, count: int) -> Iterator[None]:
    """Idle connections to the FIX port that come again as soon as they are sent away."""
    sockets = _connections(venue.fix, count)
    over = threading.Event()

    def come_again() -> None:
        while not over.wait(0.1):
            for place, one in enumerate(sockets):
                with contextlib.suppress(OSError):
                    if one.recv(1, socket.MSG_DONTWAIT) == b"":
                        one.close()
                        sockets[place] = socket.create_connection(venue.fix, 2)

    thread = threading.Thread(target=come_again, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(5)
        for one in sockets:
            one.close()


@contextlib.contextmanager
def fix_giant(venue: Venue, count: int) -> Iterator[None]:
    """A session that sends a message without end."""
    with RawFix(venue.fix, "CAROL") as client:
        client.logon()
        client.send_raw(b"8=FIX.4.4\x019=99999999\x0135=D\x01")
        client.socket.settimeout(5)
        with contextlib.suppress(OSError):
            for _ in range(count):
                client.send_raw(b"58=" + b"x" * 65_000 + b"\x01")
        yield


@contextlib.contextmanager
def fix_deaf(venue: Venue, count: int) -> Iterator[None]:
    """A session that sends orders and reads nothing."""
    with RawFix(venue.fix, "ALICE", receive_bytes=4096) as client:
        client.logon()
        client.socket.settimeout(5)
        with contextlib.suppress(OSError):
            for number in range(count):
                fields = client.order_fields(f"d{number}", price="10")
                client.send_raw(encode(client.header("D") + fields))
        yield


def http_silent(venue: Venue, count: int) -> contextlib.AbstractContextManager[None]:
    """Connections that ask for nothing."""
    return _held(_connections(_http(venue), count))


@contextlib.contextmanager
def http_dripping(venue: Venue, count: int) -> Iterator[None]:
    """Half heads and half bodies, a byte now and then."""
    heads = b"GET /v1/balances HTTP/1.1\r\nHost: x\r\nX-A: "
    bodies = b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n{"
    sockets = _connections(_http(venue), count // 2, heads)
    sockets += _connections(_http(venue), count // 2, bodies)
    over = threading.Event()

    def drip() -> None:
        while not over.wait(0.5):
            for one in sockets:
                with contextlib.suppress(OSError):
                    one.send(b"x")

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    with _held(sockets):
        yield
        over.set()
        thread.join(5)


def http_deaf(venue: Venue, count: int) -> contextlib.AbstractContextManager[None]:
    """Clients that ask again and again and read no answer."""
    ask = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 40
    return _held(_connections(_http(venue), count, ask))


def http_giant(venue: Venue, count: int) -> contextlib.AbstractContextManager[None]:
    """Heads and bodies beyond every bound."""
    address = _http(venue)
    sockets = _connections(address, count, b"GET / HTTP/1.1\r\nX: " + b"x" * 200_000)
    head = b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n"
    return _held(sockets + _connections(address, count, head + b"x" * 300_000))


def http_never_closing(venue: Venue, count: int) -> contextlib.AbstractContextManager[None]:
    """Clients that get their only answer and do not hang up."""
    ask = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    return _held(_connections(_http(venue), count, ask))


def ws_silent(venue: Venue, count: int) -> contextlib.AbstractContextManager[None]:
    """Connections that never ask to become a WebSocket."""
    return _held(_connections(_stream(venue), count))


@contextlib.contextmanager
def ws_deaf(venue: Venue, count: int) -> Iterator[None]:
    """WebSockets that subscribe, ask for snapshot after snapshot, and read nothing."""
    symbols = ["BTC-USD", "ETH-USD", "ETH-BTC"]
    subscribe = {"op": "subscribe", "req_id": 1,
                 "params": {"channels": ["book", "trades"], "symbols": symbols}}  # fmt: skip
    again = {"op": "snapshot", "req_id": 2,
             "params": {"channels": ["book", "trades"], "symbols": symbols}}  # fmt: skip
    data = _UPGRADE + _frame(subscribe) + _frame(again) * 300
    sockets = _connections(_stream(venue), count)
    for one in sockets:
        one.settimeout(0.5)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with contextlib.suppress(OSError):
            one.sendall(data)
    with _held(sockets):
        yield


@contextlib.contextmanager
def ws_giant(venue: Venue, count: int) -> Iterator[None]:
    """Messages beyond the bound."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            with contextlib.suppress(OSError, WebSocketException):
                connection = stack.enter_context(connect(venue.stream_url, compression=None))
                connection.send("x" * 1_000_000)
        yield


@contextlib.contextmanager
def ws_pings(venue: Venue, count: int) -> Iterator[None]:
    """Strangers that send empty PING frames as fast as they go, and read nothing."""
    ping = bytes((0x89, 0x80, 0, 0, 0, 0)) * 4_000
    sockets = _connections(_stream(venue), count, _UPGRADE)
    over = threading.Event()

    def flood() -> None:
        while not over.is_set():
            for one in sockets:
                with contextlib.suppress(OSError):
                    one.send(ping, socket.MSG_DONTWAIT)
            over.wait(0.005)

    thread = threading.Thread(target=flood, daemon=True)
    thread.start()
    with _held(sockets):
        yield
        over.set()
        thread.join(5)


def ipc_deaf(venue: Venue, count: int) -> contextlib.AbstractContextManager[None]:
    """Subscribers of the engine that never read, and one that sends what is no frame."""
    sockets = []
    hello = wire.encode_frame(wire.Hello(wire.PROTOCOL_VERSION, "deaf"))
    for number in range(count):
        one = socket.socket(socket.AF_UNIX)
        one.connect(venue.socket)
        one.sendall(hello + wire.encode_frame(wire.Subscribe(1, 1)))
        if number == 0:
            one.sendall(wire.HEADER.pack(1 << 30) + b"x" * 10_000)
        sockets.append(one)
    return _held(sockets)


RESTS: Final = ("maker", "cert")
"""Accounts that let thousands of orders rest."""


def _submit_all(client: EngineClient, commands: list[NewOrder]) -> None:
    """Post commands in pieces and wait until the last is done."""
    for start in range(0, len(commands) - 1, 400):
        client.post(commands[start : min(start + 400, len(commands) - 1)])
    client.submit(commands[-1], 60.0)


def _resting(client: EngineClient, count: int) -> None:
    """Let so many orders of two accounts rest at one price of ETH-BTC, which nobody else trades."""
    once = os.urandom(4).hex()
    for place, account in enumerate(RESTS):
        origin = Origin(f"api:{account}")
        _submit_all(client, [
            NewOrder(origin, account, f"r{once}-{number}", "ETH-BTC", Side.SELL, OrdType.LIMIT,
                     TimeInForce.GTC, 1, 77)
            for number in range(place, count, len(RESTS))
        ])  # fmt: skip


@contextlib.contextmanager
def largest_sweep(venue: Venue, count: int) -> Iterator[None]:
    """One order that trades with all of these, and its session hears of each."""
    with contextlib.closing(venue.client("sweep")) as client, RawFix(venue.fix, "TAKER") as taker:
        taker.logon()
        _resting(client, count)
        terms = f"38={Decimal(count) / 1000}|40=2|44=0.00077|59=1|"
        taker.send("D", f"11={os.urandom(4).hex()}|55=ETH-BTC|54=1|60={now_text()}|{terms}")
        yield
        fills = 0
        while fills < count:
            fills += taker.expect("8", timeout=60.0)["150"] == "F"
        taker.logout()


@contextlib.contextmanager
def largest_cancel(venue: Venue, count: int) -> Iterator[None]:
    """Mass cancels of all of these."""
    with contextlib.closing(venue.client("mass cancel")) as client:
        _resting(client, count)
        for account in RESTS:
            client.submit(MassCancel(Origin(f"api:{account}"), account, "all"), 60.0)
        yield
        if any(client.fetch(queries.OpenOrders(account)).value for account in RESTS):
            raise TimeoutError(f"the cancel of {count:,} orders is not done")


def _frame(message: dict[str, Any]) -> bytes:
    """A masked WebSocket text frame."""
    payload = json.dumps(message).encode()
    size = len(payload)
    head = bytes([0x81, 0x80 | (size if size < 126 else 126)])
    head += size.to_bytes(2, "big") if size >= 126 else b""
    return head + b"\0\0\0\0" + payload


ATTACKS: Final[dict[str, tuple[Attack, int, int, str, str]]] = {
    "silent FIX connections": (fix_flood, 400, 300, "fix", "a newer connection took its place"),
    "idle FIX connections that come again": (fix_idle, 270, 270, "fix", "a newer connection"),
    "FIX message without end": (fix_giant, 120, 80, "fix", "much that is no message"),
    "FIX session that never reads": (fix_deaf, 40_000, 0, "fix", "reads nothing"),
    "silent HTTP connections": (http_silent, 10_000, 1_500, "", ""),
    "dripping HTTP requests": (http_dripping, 400, 60, "api", "no whole request in time"),
    "HTTP answers never read": (http_deaf, 40, 12, "api", "answers are not read"),
    "giant HTTP requests": (http_giant, 50, 10, "", ""),
    "HTTP clients that never close": (http_never_closing, 200, 20, "", ""),
    "silent stream connections": (ws_silent, 3_000, 300, "", ""),
    "WebSockets that never read": (ws_deaf, 60, 8, "", ""),
    "WebSocket PING frames": (ws_pings, 12, 2, "", ""),
    "giant WebSocket messages": (ws_giant, 10, 3, "", ""),
    "engine subscribers that never read": (ipc_deaf, 30, 8, "engine", "above the limit"),
    "an order that trades with thousands": (largest_sweep, 10_000, 1_500, "", ""),
    "mass cancels of thousands": (largest_cancel, 10_000, 1_500, "", ""),
}
"""By name: the attack, its size in the long and the short form, and which log says what."""
