"""A FIX client on a raw socket, which sends any message, valid or not.

It answers TestRequests, answers ResendRequests with a SequenceReset-GapFill, and sends
Heartbeats; each of these can be switched off. It never sends a ResendRequest by itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from certification.fix.wire import Framer, Message, encode, in_order, now, time_text
from certification.report.results import Transcript

CONNECT_S: Final = 10.0
READ_BYTES: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Identity:
    """The CompIDs and credentials of a session. ``logon`` are further fields of the Logon."""

    sender: str
    target: str
    username: str = ""
    password: str = ""
    heartbeat_s: int = 30
    logon: tuple[tuple[int, str], ...] = ()

    def __repr__(self) -> str:
        return f"Identity({self.sender} at {self.target})"

    def logon_fields(self, *, reset: bool) -> dict[int, str]:
        """Return the body of a Logon."""
        fields = {98: "0", 108: str(self.heartbeat_s)}
        if reset:
            fields[141] = "Y"
        if self.username:
            fields[553] = self.username
        if self.password:
            fields[554] = self.password
        return fields | dict(self.logon)


class FixClient:
    """One session as its initiator. ``num`` is the next outgoing MsgSeqNum.

    ``mark`` is a prefix of its entries in the transcript, which tells sessions apart.
    """

    def __init__(
        self, host: str, port: int, identity: Identity, transcript: Transcript, mark: str = ""
    ) -> None:
        self.identity = identity
        self.transcript = transcript
        self.num = 1
        self.incoming = 1
        self.answer_tests = True
        self.fill_gaps = True
        self.heartbeats = True
        self.received = 0
        self.told = ""
        """Text(58) of the last Logout, "" if it had none."""
        self._address = (host, port)
        self._mark = mark
        self._inbox: asyncio.Queue[Message | None] = asyncio.Queue()
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._sent_at = 0.0
        self._closed = asyncio.Event()

    @property
    def open(self) -> bool:
        """Return whether the connection is up."""
        return self._writer is not None and not self._closed.is_set()

    async def connect(self) -> None:
        """Open the connection. Raises OSError, TimeoutError."""
        host, port = self._address
        async with asyncio.timeout(CONNECT_S):
            self._reader, self._writer = await asyncio.open_connection(host, port)
        self._inbox = asyncio.Queue()
        self._closed = asyncio.Event()
        self.received = 0
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._beat())]
        self.transcript.note(f"{self._mark}connected as {self.identity.sender}")

    async def _read(self) -> None:
        assert self._reader is not None
        framer = Framer()
        try:
            while data := await self._reader.read(READ_BYTES):
                self.received += len(data)
                for frame in framer.feed(data):
                    if not frame.good:
                        text = frame.raw.decode("latin-1").replace("\x01", "|")
                        self.transcript.text(f"{self._mark}<", text, "garbled")
                        continue
                    message = Message(frame.raw)
                    self.transcript.message(f"{self._mark}<", message)
                    self._take(message)
                    self._inbox.put_nowait(message)
        except ConnectionError:
            pass  # A reset is the end of the stream, too.
        self.transcript.note(f"{self._mark}the venue has closed the connection")
        self._closed.set()
        self._inbox.put_nowait(None)

    def _take(self, message: Message) -> None:
        """Do what every FIX engine does without the application."""
        if message.type == "5":
            self.told = message.get(58)
        if message.num >= self.incoming and not message.possdup:
            self.incoming = message.num + 1
        if message.type == "1" and self.answer_tests:
            self.send("0", {112: message.get(112)})
        elif message.type == "2" and self.fill_gaps:
            begin = int(message.get(7) or "1")
            self.send("4", {43: "Y", 122: time_text(now()), 123: "Y", 36: str(self.num)}, begin)

    async def _beat(self) -> None:
        """Send a Heartbeat whenever nothing else was sent for HeartBtInt(108)."""
        interval = self.identity.heartbeat_s
        while not self._closed.is_set():
            wait = self._sent_at + interval - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            elif self.heartbeats and self._sent_at and not self._closed.is_set():
                self.send("0", {})
            else:
                await asyncio.sleep(interval / 4)

    def compose(
        self, msg_type: str, fields: Mapping[int, str] | Iterable[tuple[int, str]],
        number: int | None = None,
    ) -> bytes:  # fmt: skip
        """Compose a message with this session's header and the next MsgSeqNum, or ``number``."""
        if number is None:
            number = self.num
            self.num += 1
        given = list(fields.items()) if isinstance(fields, Mapping) else list(fields)
        own = dict(given)
        header = {
            35: msg_type, 34: str(number), 49: self.identity.sender,
            52: own.get(52, time_text(now())), 56: self.identity.target,
        }  # fmt: skip
        more = {tag: own[tag] for tag in (43, 97, 122) if tag in own}
        rest = [(tag, value) for tag, value in given if tag not in header and tag not in more]
        return encode(in_order(header | more) + rest)

    def send(
        self, msg_type: str, fields: Mapping[int, str] | Iterable[tuple[int, str]],
        number: int | None = None,
    ) -> Message:  # fmt: skip
        """Send a message and return it."""
        message = Message(self.compose(msg_type, fields, number))
        self.put(message)
        return message

    def put(self, message: Message, note: str = "") -> None:
        """Send a message that was composed before."""
        self.transcript.message(f"{self._mark}>", message, note)
        self.put_raw(message.raw)

    def put_raw(self, data: bytes) -> None:
        """Send bytes unchanged."""
        if self._writer is not None and not self._closed.is_set():
            self._writer.write(data)
            self._sent_at = time.monotonic()

    async def next(self, seconds: float) -> Message | None:
        """Return the next message, None at the end of the stream. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            message = await self._inbox.get()
        if message is None:
            self._inbox.put_nowait(None)
        return message

    async def logon(self, *, reset: bool, seconds: float) -> Message | None:
        """Connect, log on and return the Logon of the venue, None if it closes instead."""
        await self.connect()
        if reset:
            self.num = self.incoming = 1
        self.send("A", self.identity.logon_fields(reset=reset))
        while (message := await self.next(seconds)) is not None:
            if message.type == "A":
                return message
            if message.type == "5":
                break
        return None

    async def wait_closed(self, seconds: float) -> None:
        """Wait until the other side closes. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            await self._closed.wait()

    async def close(self) -> None:
        """Close without Logout."""
        self._closed.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        if self._writer is not None:
            self._writer.close()
            try:
                await self._writer.wait_closed()
            except (ConnectionError, TimeoutError):
                pass  # The other side was first.
            self._writer = None

    async def logout(self, seconds: float) -> None:
        """Log out, wait until the venue closes the connection, and close. Raises TimeoutError."""
        if self.open:
            self.send("5", {})
            await self.wait_closed(seconds)
        await self.close()
