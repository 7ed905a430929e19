"""Clients that behave badly beside clients that behave: who pays, and with what.

A few behaving clients (a FIX session, REST readers, a WebSocket) measure how long each round
trip takes, alone and during each attack. They must keep working; memory must stay bounded;
whoever attacks is dropped, and the log says why.
"""

from __future__ import annotations

import contextlib
import json
import resource
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import requests
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from engine import wire
from tests.fix.rawfix import RawFix, encode
from tests.prove.security import pids
from tests.prove.venue import Venue

NAMES: Final = ("engine", "history", "fix", "api", "stream")
GROWTH_BYTES_MAX: Final = 300 << 20
"""How much the memory of the whole venue may grow by one attack."""
SLOW_S_MAX: Final = 3.0
"""No round trip of a client that behaves may take longer."""
MEDIAN_S_MAX: Final = 0.5
ENOUGH: Final = 5
"""Round trips that say something: one may have met a moment in which the disk is slow."""
PAUSE_S: Final = 0.01


def resident(venue: Venue) -> int:
    """Bytes of memory of all processes of the venue."""
    total = 0
    for pid in pids(venue):
        with contextlib.suppress(OSError):  # It has ended since it was listed.
            pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
            total += int(pages) * resource.getpagesize()
    return total


class Behaving:
    """Clients that do one round trip after the other, each on a thread."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._over = threading.Event()
        self._done = threading.Condition()
        self._took: dict[str, list[float]] = {}
        self.failures: list[str] = []
        trips = {"FIX": self._fix, "REST": self._rest, "REST, new connection": self._fresh,
                 "WebSocket": self._ws}  # fmt: skip
        self._kinds = frozenset(trips)
        self._threads = [
            threading.Thread(target=self._run, args=(name, trip), daemon=True)
            for name, trip in trips.items()
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End."""
        self._over.set()
        for thread in self._threads:
            thread.join(10)

    def take(self) -> dict[str, list[float]]:
        """The seconds of the round trips since the last time, by kind of client."""
        with self._done:
            took, self._took = self._took, {}
        return took

    def take_of_all(self) -> dict[str, list[float]]:
        """The same, once every kind has as many as a median needs, or should have."""
        with self._done:
            self._done.wait_for(
                lambda: all(len(self._took.get(kind, ())) >= ENOUGH for kind in self._kinds),
                SLOW_S_MAX,
            )
        return self.take()

    def _run(self, name: str, trips: Callable[[], Iterator[None]]) -> None:
        try:
            steps = trips()
            next(steps)
            while not self._over.is_set():
                began = time.monotonic()
                next(steps)
                with self._done:
                    self._took.setdefault(name, []).append(time.monotonic() - began)
                    self._done.notify_all()
                self._over.wait(PAUSE_S)
        except (OSError, requests.RequestException, WebSocketException, AssertionError) as error:
            self.failures.append(f"{name} of a client that behaves failed: {error!r:.200}")

    def _fix(self) -> Iterator[None]:
        with RawFix(self._venue.fix, "BOB") as client:
            client.logon()
            yield
            number = 0
            while True:
                number += 1
                client.order(f"b{number}", price="10", extra="")
                client.expect("8")
                client.send("F", f"11=c{number}|41=b{number}|55=BTC-USD|54=1|60=20300101-00:00:00|")
                client.expect("8")
                yield

    def _rest(self) -> Iterator[None]:
        with requests.Session() as session:
            while True:
                yield
                self._balances(session)

    def _fresh(self) -> Iterator[None]:
        while True:
            yield
            with requests.Session() as session:
                self._balances(session)

    def _balances(self, session: requests.Session) -> None:
        headers = {"Authorization": "Bearer demo-bob-read"}
        answer = session.get(f"{self._venue.url}/v1/balances", headers=headers, timeout=10)
        assert answer.status_code == 200, answer.text

    def _ws(self) -> Iterator[None]:
        with connect(self._venue.stream_url, compression=None) as connection:
            while True:
                yield
                connection.send(json.dumps({"op": "ping", "req_id": 1}))
                while "req_id" not in json.loads(connection.recv(timeout=10)):
                    continue


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
    upgrade = (
        b"GET /v1/stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    symbols = ["BTC-USD", "ETH-USD", "ETH-BTC"]
    subscribe = {"op": "subscribe", "req_id": 1,
                 "params": {"channels": ["book", "trades"], "symbols": symbols}}  # fmt: skip
    again = {"op": "snapshot", "req_id": 2,
             "params": {"channels": ["book", "trades"], "symbols": symbols}}  # fmt: skip
    data = upgrade + _frame(subscribe) + _frame(again) * 300
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


def _frame(message: dict[str, Any]) -> bytes:
    """A masked WebSocket text frame."""
    payload = json.dumps(message).encode()
    size = len(payload)
    head = bytes([0x81, 0x80 | (size if size < 126 else 126)])
    head += size.to_bytes(2, "big") if size >= 126 else b""
    return head + b"\0\0\0\0" + payload


ATTACKS: Final[dict[str, tuple[Attack, int, int, str, str]]] = {
    "silent FIX connections": (fix_flood, 400, 300, "fix", "too many connections"),
    "FIX message without end": (fix_giant, 120, 80, "fix", "much that is no message"),
    "FIX session that never reads": (fix_deaf, 40_000, 0, "fix", "reads nothing"),
    "silent HTTP connections": (http_silent, 10_000, 1_500, "", ""),
    "dripping HTTP requests": (http_dripping, 400, 60, "api", "no whole request in time"),
    "HTTP answers never read": (http_deaf, 40, 12, "api", "answers are not read"),
    "giant HTTP requests": (http_giant, 50, 10, "", ""),
    "HTTP clients that never close": (http_never_closing, 200, 20, "", ""),
    "silent stream connections": (ws_silent, 3_000, 300, "", ""),
    "WebSockets that never read": (ws_deaf, 60, 8, "", ""),
    "giant WebSocket messages": (ws_giant, 10, 3, "", ""),
    "engine subscribers that never read": (ipc_deaf, 30, 8, "engine", "above the limit"),
}
"""By name: the attack, its size in the long and the short form, and which log says what."""


@dataclass(slots=True)
class Stood:
    """What was done, and what the clients that behave had of it."""

    rows: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)


def stand(
    quick: bool, settle_s: float, say: Callable[[str], None] = lambda text: None
) -> Stood:
    """One attack after the other over one venue, ``settle_s`` each."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    result = Stood()
    with tempfile.TemporaryDirectory(prefix="tandem-overload-") as name:
        venue = Venue(Path(name))
        try:
            venue.start_all(*NAMES)
            behaving = Behaving(venue)
            behaving.start()
            _attack_all(venue, behaving, quick, settle_s, say, result)
            behaving.stop()
            result.findings += behaving.failures
        finally:
            venue.kill_all()
    return result


def _attack_all(
    venue: Venue, behaving: Behaving, quick: bool, settle_s: float, say: Callable[[str], None],
    result: Stood,
) -> None:  # fmt: skip
    time.sleep(settle_s)
    behaving.take()
    time.sleep(2 * settle_s)
    alone, first = behaving.take_of_all(), resident(venue)
    result.rows.append(f"alone: {_shown(alone)}")
    for name, (attack, long, short, process, reason) in ATTACKS.items():
        slow = attack in (http_dripping, http_deaf, fix_deaf)
        count = short if quick else long
        if not count or behaving.failures:
            continue
        say(name)
        before = resident(venue)
        with attack(venue, count):
            time.sleep(settle_s)
            behaving.take()
            time.sleep(settle_s)
            during = behaving.take_of_all()
            growth = resident(venue) - before
            # In the short form nobody waits for what takes its time by intention.
            wait_s = 1.0 if quick else 60.0
            said = not reason or _says(venue, process, reason, wait_s) or (quick and slow)
        result.rows.append(f"{name} ({count:,}): {_shown(during, alone)}, {growth >> 20} MiB")
        _judge(name, during, growth, result)
        if not said:
            result.findings.append(f"{name}: the log of {process} does not say {reason!r}")
    _end(venue, first, result)


def _end(venue: Venue, first: int, result: Stood) -> None:
    """Everything still runs, and the memory of the attacks is free again."""
    growth = resident(venue) - first
    result.rows.append(f"memory after all of it: {growth >> 20} MiB more than before")
    if growth > GROWTH_BYTES_MAX:
        result.findings.append(f"the venue's memory grew by {growth >> 20} MiB for good")
    for one, child in venue.children.items():
        if child.code is not None:
            result.findings.append(f"{one} ended with {child.code}: {venue.log_of(one)}")


def _shown(took: dict[str, list[float]], alone: dict[str, list[float]] | None = None) -> str:
    parts = []
    for kind, seconds in sorted(took.items()):
        middle = statistics.median(seconds)
        text = f"{kind} {middle * 1000:.1f} ms"
        if alone and kind in alone:
            text += f" (x {middle / statistics.median(alone[kind]):.1f})"
        parts.append(text)
    return ", ".join(parts)


def _judge(name: str, during: dict[str, list[float]], growth: int, result: Stood) -> None:
    for kind in ("FIX", "REST", "REST, new connection", "WebSocket"):
        seconds = during.get(kind, [])
        if not seconds:
            result.findings.append(f"{name}: no round trip of {kind} came to its end")
        elif max(seconds) > SLOW_S_MAX or statistics.median(seconds) > MEDIAN_S_MAX:
            result.findings.append(
                f"{name}: {kind} took {statistics.median(seconds):.3f} s, at most "
                f"{max(seconds):.3f} s"
            )
    if growth > GROWTH_BYTES_MAX:
        result.findings.append(f"{name}: the venue's memory grew by {growth >> 20} MiB")


def _says(venue: Venue, process: str, reason: str, timeout_s: float) -> bool:
    """Whether a log says why somebody was dropped, now or soon."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if reason in venue.log_of(process, 1 << 20):
            return True
        time.sleep(0.1)
    return False
