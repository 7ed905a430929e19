"""A FIX engine of our own on a raw socket, well behaved or broken on purpose.

``broken`` names what it does wrong. Only session-level faults are here; those of an order
manager are in ``trader.py``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta

from certification.fix.wire import ADMIN, Framer, Message, encode, in_order, now, time_text
from tests.support import pace

RECONNECT_S = 0.3


class RawEngine:
    """An initiator. ``told`` gets every application message once, in order."""

    def __init__(
        self, port: int, comp_id: str, username: str, password: str,
        told: Callable[[Message], None], *, heartbeat_s: int = 0, broken: frozenset[str],
    ) -> None:  # fmt: skip
        self.port, self.comp_id = port, comp_id
        self.username, self.password = username, password
        self.told = told
        self.heartbeat_s = heartbeat_s or max(2, round(pace.seconds(2)))
        self.broken = broken
        self.num = self.expected = 1
        self.store: dict[int, Message] = {}
        self.queue: dict[int, Message] = {}
        self.asked_to = 0
        self.reset_next = True
        self.online = asyncio.Event()
        self.offline = asyncio.Event()
        self.offline.set()
        self.stopping = self.leaving = False
        self.writer: asyncio.StreamWriter | None = None
        self.sent_at = self.heard_at = 0.0
        self.test = ""
        self.task: asyncio.Task[None] | None = None

    # What the driver does.

    async def start(self) -> None:
        self.task = asyncio.create_task(self._live())
        await asyncio.wait_for(self.online.wait(), pace.seconds(20))

    async def stop(self) -> None:
        self.stopping = self.leaving = True
        if self.online.is_set():
            self._send("5", [])
            try:
                await asyncio.wait_for(self.offline.wait(), pace.seconds(5))
            except TimeoutError:
                pass
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)

    def send(self, msg_type: str, fields: list[tuple[int, str]]) -> None:
        self._send(msg_type, fields)

    async def log_out_and_in(self, *, reset: bool) -> None:
        self.reset_next = reset
        self.leaving = True
        self._send("5", [])
        await asyncio.wait_for(self.offline.wait(), pace.seconds(10))
        await asyncio.wait_for(self.online.wait(), pace.seconds(20))

    # The connection.

    async def _live(self) -> None:
        while not self.stopping:
            try:
                reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
                await self._session(reader)
            except OSError:
                pass
            finally:
                if self.writer is not None:
                    self.writer.close()
                self.online.clear()
                self.offline.set()
            if "hammers" not in self.broken:
                await asyncio.sleep(RECONNECT_S)

    async def _session(self, reader: asyncio.StreamReader) -> None:
        reset = self.reset_next or "resets" in self.broken
        if reset:
            self.num = self.expected = 1
            self.store.clear()
        self.leaving = False
        self.queue.clear()
        self.asked_to = 0
        self.test = ""
        flag = [(141, "Y")] if reset else []
        self._send("A", [(98, "0"), (108, str(self.heartbeat_s)), *flag,
                         (553, self.username), (554, self.password)])  # fmt: skip
        framer = Framer()
        self.heard_at = time.monotonic()
        while True:
            try:
                async with asyncio.timeout(self.heartbeat_s / 4):
                    data = await reader.read(65536)
            except TimeoutError:
                if not self._tick():
                    return
                continue
            if not data:
                return
            self.heard_at = time.monotonic()
            for frame in framer.feed(data):
                message = Message(frame.raw)
                if not frame.good:
                    if "counts-garbled" in self.broken and message.num == self.expected:
                        self.expected += 1
                    continue
                if not self._take(message):
                    return
            self._tick()

    def _tick(self) -> bool:
        """Heartbeat and TestRequest; False to give the connection up."""
        if not self.online.is_set():
            return True
        moment = time.monotonic()
        if moment - self.sent_at >= self.heartbeat_s and "no-heartbeats" not in self.broken:
            self._send("0", [])
        silent = moment - self.heard_at
        # Who never asks gives up too, but later than the certifier has told it what is wrong.
        asks = "never-asks" not in self.broken
        if silent > (2.4 if asks else 6) * self.heartbeat_s:
            return False
        if silent > 1.2 * self.heartbeat_s and not self.test and asks:
            self.test = f"T{self.num}"
            self._send("1", [(112, self.test)])
        return True

    # Messages.

    def _take(self, message: Message) -> bool:
        """Take a message in its turn; False to end the connection."""
        self.test = ""
        if message.type == "A" and message.get(141) == "Y":
            self.expected = message.num
        if message.type == "4" and message.get(123) != "Y":
            self.expected = int(message[36])
            return True
        if message.num > self.expected:
            self.queue[message.num] = message
            if message.type == "A":
                self._on(message)
            if self.expected > self.asked_to and "never-resends" not in self.broken:
                self.asked_to = message.num - 1
                self._send("2", [(7, str(self.expected)), (16, "0")])
            return True
        if message.num < self.expected:
            if message.possdup:
                if "counts-possdup" in self.broken and message.type not in ADMIN:
                    self.told(message)
                return True
            if "ignores-low" in self.broken:
                return True
            self._send("5", [(58, f"MsgSeqNum too low, expected {self.expected}")])
            return False
        ok = self._in_turn(message)
        while ok and self.expected in self.queue:
            ok = self._in_turn(self.queue.pop(self.expected))
        return ok

    def _in_turn(self, message: Message) -> bool:
        self.expected += 1
        if message.type == "4":
            if "ignores-gap-fills" in self.broken:
                self.expected -= 1
            else:
                self.expected = max(self.expected, int(message[36]))
            return True
        return self._on(message)

    def _on(self, message: Message) -> bool:
        kind = message.type
        if kind == "A":
            self.reset_next = False
            self.online.set()
            self.offline.clear()
        elif kind == "1" and "no-test-answer" not in self.broken:
            self._send("0", [(112, message.get(112))])
        elif kind == "2":
            self._resend(int(message[7]), int(message.get(16) or "0"))
        elif kind == "5":
            if not self.leaving and "no-logout-answer" not in self.broken:
                self._send("5", [])
            return False
        elif kind not in ADMIN:
            self.told(message)
        return True

    def _resend(self, begin: int, end: int) -> None:
        last = self.num - 1 if end == 0 else min(end, self.num - 1)
        number = begin
        while number <= last:
            after = number
            while after <= last and after not in self.store:
                after += 1
            if after > number:
                self._write(number, "4", [(43, "Y"), (122, time_text(now())), (123, "Y"),
                                          (36, str(after))])  # fmt: skip
                number = after
                continue
            old = self.store[number]
            body = [(t, v) for t, v in old.pairs if t not in (8, 9, 10, 34, 35, 49, 52, 56, 43)]
            mark = [] if "resends-without-43" in self.broken else [(43, "Y"), (122, old[52])]
            self._write(number, old.type, [*mark, *body])
            number += 1

    def _send(self, msg_type: str, fields: list[tuple[int, str]]) -> None:
        number = self.num
        self.num += 1
        message = self._write(number, msg_type, fields)
        if msg_type not in ADMIN:
            self.store[number] = message

    def _write(self, number: int, msg_type: str, fields: list[tuple[int, str]]) -> Message:
        moment = now() + timedelta(seconds=60 if "wrong-clock" in self.broken else 0)
        head = {
            35: msg_type, 34: str(number), 49: self.comp_id, 52: time_text(moment), 56: "TANDEM",
        }  # fmt: skip
        more = {tag: value for tag, value in fields if tag in (43, 97, 122)}
        rest = [(tag, value) for tag, value in fields if tag not in more]
        message = Message(encode(in_order(head | more) + rest))
        if self.writer is not None and not self.writer.is_closing():
            self.writer.write(message.raw)
            self.sent_at = time.monotonic()
        return message
