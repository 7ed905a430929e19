"""A small FIX client on a raw socket: it says exactly what a test tells it to, no more.

It keeps the outgoing sequence number, answers TestRequests and fills over what is asked for
again unless told not to, and records everything that comes in.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

from tests.support import pace

SOH = "\x01"


def now_text(offset_s: float = 0.0) -> str:
    """SendingTime of this moment."""
    moment = time.time() + offset_s
    whole = time.strftime("%Y%m%d-%H:%M:%S", time.gmtime(moment))
    return f"{whole}.{int(moment % 1 * 1000):03d}"


def encode(body: str) -> bytes:
    """A message from its body as ``35=D|...|``; adds 8, 9 and 10."""
    return framed(body.replace("|", SOH))


def framed(body: str) -> bytes:
    """A body, from its MsgType on, with a right length and sum."""
    data = body.encode("utf-8", "surrogatepass")
    head = f"8=FIX.4.4{SOH}9={len(data)}{SOH}".encode() + data
    return head + f"10={sum(head) % 256:03d}{SOH}".encode()


def first_whole(data: bytes) -> tuple[bytes, bytes]:
    """The first message, by its length, and the rest; nothing and all while it is not whole."""
    start = data.find(b"\x019=")
    end = data.find(b"\x01", start + 3)
    if start < 0 or end < 0:
        return b"", data
    size = end + 1 + int(data[start + 3 : end]) + 7
    return (data[:size], data[size:]) if len(data) >= size else (b"", data)


class Message(dict[str, str]):
    """A received message: first value of each tag, and all of it in ``text``."""

    def __init__(self, raw: bytes) -> None:
        self.text = raw.decode("latin-1")
        super().__init__()
        for field in self.text.split(SOH)[:-1]:
            tag, _, value = field.partition("=")
            self.setdefault(tag, value)

    def __repr__(self) -> str:
        return self.text.replace(SOH, "|")

    @property
    def cursor(self) -> tuple[int, int, int] | None:
        """What the engine caused it by: (seq, event index, part)."""
        if "20002" not in self or "20007" not in self:
            return None
        return int(self["20001"]), int(self["20002"]), int(self["20007"])


class Closed(Exception):
    """The other side has closed the connection."""


class RawFix:
    """One connection. ``num`` is the next outgoing MsgSeqNum.

    ``receive_bytes`` is the buffer for what it has not read. One that is made smaller later,
    below what is on its way, brings both directions of a connection to a halt.
    """

    def __init__(
        self,
        address: tuple[str, int],
        comp_id: str,
        *,
        num: int = 1,
        target: str = "TANDEM",
        source: str = "127.0.0.1",
        receive_bytes: int = 0,
    ) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(pace.seconds(10))
        self.socket.bind((source, 0))
        self.socket.connect(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.comp_id = comp_id
        self.target = target
        self.num = num
        self.buffer = b""
        self.received: list[Message] = []
        self.answer_tests = True
        self.fill_gaps = True

    def header(self, msg_type: str, *, num: int | None = None, extra: str = "") -> str:
        """Header fields; takes the next number unless one is given."""
        if num is None:
            num = self.num
            self.num += 1
        return (
            f"35={msg_type}|34={num}|49={self.comp_id}|52={now_text()}|56={self.target}|{extra}"
        )

    def send(
        self, msg_type: str, fields: str = "", *, num: int | None = None, extra: str = ""
    ) -> None:
        """Send one message."""
        self.socket.sendall(encode(self.header(msg_type, num=num, extra=extra) + fields))

    def send_raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def logon_fields(
        self, *, reset: bool = False, heartbeat: int = 30, password: str = "", extra: str = ""
    ) -> str:
        """The body of a Logon."""
        firm = self.comp_id.lower()
        flag = "141=Y|" if reset else ""
        return (
            f"98=0|108={heartbeat}|{flag}553={firm}|554={password or firm + '-demo'}|{extra}"
        )

    def logon(self, *, timeout: float = 10.0, **fields: object) -> Message:
        """Log on and wait for the answer."""
        self.send("A", self.logon_fields(**fields))  # type: ignore[arg-type]
        return self.expect("A", timeout=timeout)

    def receive(self, timeout: float = 10.0) -> Message:
        """The next message. Raises TimeoutError, or Closed at the end of the stream."""
        return self._receive(time.monotonic() + pace.seconds(timeout))

    def _receive(self, deadline: float) -> Message:
        while True:
            raw, self.buffer = first_whole(self.buffer)
            if raw:
                message = Message(raw)
                self.received.append(message)
                if message["35"] == "1" and self.answer_tests:
                    self.send("0", f"112={message['112']}|")
                if message["35"] == "2" and self.fill_gaps:
                    fill = f"123=Y|36={self.num}|"
                    self.send("4", fill, num=int(message["7"]), extra="43=Y|")
                return message
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("no message came")
            self.socket.settimeout(left)
            try:
                data = self.socket.recv(65536)
            except ConnectionError as error:
                raise Closed(str(error)) from error
            if not data:
                raise Closed("end of stream")
            self.buffer += data

    def expect(self, *msg_types: str, timeout: float = 10.0) -> Message:
        """The next message of one of these types; heartbeats and TestRequests are passed."""
        deadline = time.monotonic() + pace.seconds(timeout)
        while True:
            message = self._receive(deadline)
            if message["35"] in msg_types:
                return message
            assert message["35"] in ("0", "1"), f"{message!r} came instead of {msg_types}"

    def collect(self, count: int, msg_type: str = "8", timeout: float = 10.0) -> list[Message]:
        """The next ``count`` messages of a type; others are passed."""
        deadline = time.monotonic() + pace.seconds(timeout)
        found: list[Message] = []
        while len(found) < count:
            message = self._receive(deadline)
            if message["35"] == msg_type:
                found.append(message)
        return found

    def closed(self, timeout: float = 10.0) -> bytes:
        """Wait until the other side closes; gives what it sent before."""
        deadline = time.monotonic() + pace.seconds(timeout)
        rest = self.buffer
        while True:
            self.socket.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                data = self.socket.recv(65536)
            except ConnectionError:
                return rest
            if not data:
                return rest
            rest += data

    def order(
        self, client_id: str, side: int = 1, qty: str = "0.01", price: str = "100", extra: str = ""
    ) -> None:
        """Send a limit order of BTC-USD, good till canceled."""
        self.send("D", self.order_fields(client_id, side, qty, price, extra))

    def order_fields(
        self, client_id: str, side: int = 1, qty: str = "0.01", price: str = "100", extra: str = ""
    ) -> str:
        """The body of such an order."""
        return (
            f"11={client_id}|55=BTC-USD|54={side}|60={now_text()}|38={qty}|40=2|44={price}|59=1|"
            f"{extra}"
        )

    def logout(self) -> None:
        """Log out and close."""
        self.send("5")
        self.expect_closing()

    def expect_closing(self) -> None:
        """Read until the end of the stream."""
        try:
            while True:
                self.receive(5.0)
        except Closed:
            self.socket.close()

    def close(self) -> None:
        """Close without a word."""
        self.socket.close()

    def __enter__(self) -> RawFix:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Message]:
        while True:
            yield self.receive()
