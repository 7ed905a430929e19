"""A proxy for one FIX session of a client under test, which records and disturbs it.

Each connection of the client has its connection to the venue's gateway. The referee sees every
message and may delay it, drop it, or inject its own. ``numbering`` maps sequence numbers towards
the client; towards the venue they are unchanged.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from certification.fix.client import READ_BYTES
from certification.fix.numbering import GapFill, Numbering, ResendRange, resend_range
from certification.fix.wire import (
    Framer,
    Message,
    changed,
    encode,
    exact_time_text,
    garbled,
    in_order,
    now,
)
from certification.scenarios.values import same

REFUSAL_S: Final = 0.25
CONNECT_S: Final = 10.0
UPSTREAM_GONE_S: Final = 60.0
TESTS_MAX: Final = 100


class Watcher(Protocol):
    """Decides about every message and records it."""

    async def from_client(self, session: SessionProxy, message: Message) -> bool:
        """Take a message of the client; return False to drop it. May wait."""

    def from_venue(self, session: SessionProxy, message: Message, ours: str) -> None:
        """Take a message that was sent to the client; ``ours`` describes an injected one."""

    def note(self, session: SessionProxy, way: str, message: Message | None, text: str) -> None:
        """Record a message with a remark, or a remark alone."""

    def disconnected(self, session: SessionProxy, on_purpose: bool) -> None:
        """Record the end of the client's connection; ``on_purpose`` if the certifier cut it."""


@dataclass(slots=True)
class _ConnectionPair:
    """A connection of the client and its connection to the venue."""

    client: asyncio.StreamWriter
    venue: asyncio.StreamWriter | None = None
    cut: bool = False
    keep_venue: bool = False
    on_purpose: bool = False
    logouts: int = 0

    @property
    def over(self) -> bool:
        """Return whether a new connection may be made: this one was cut or both logged out."""
        return self.cut or self.logouts >= 2


class SessionProxy:
    """The session ``comp_id`` of a client; ``venue`` is the address of its gateway.

    ``save`` is called before an injected number is used, so that it survives a restart. While
    ``speaking`` is not set, the venue's messages are held; with ``calm`` they are held from the
    venue's first TestRequest on. ``tests`` are the venue's own TestReqIDs, ``missed`` the messages
    that it sent after the connection was cut (``missing`` is set when one is added).
    """

    def __init__(
        self, comp_id: str, venue: tuple[str, int], watcher: Watcher, numbering: Numbering,
        save: Callable[[], None], kind: str = "main",
    ) -> None:  # fmt: skip
        self.comp_id = comp_id
        self.kind = kind
        self.numbering = numbering
        self.refusals = 0
        self.refused_at = 0.0
        self.logon_pause_s = 60.0
        self.highest = 0
        self.heartbeat_s = 30
        self.tests: deque[str] = deque(maxlen=TESTS_MAX)
        self.missed: deque[Message] = deque(maxlen=TESTS_MAX)
        self.missing = asyncio.Event()
        self.drops: list[Mapping[int, str]] = []
        self.calm = False
        self.speaking = asyncio.Event()
        self.speaking.set()
        self.gone = asyncio.Event()
        self.gone.set()
        self._watcher = watcher
        self._venue = venue
        self._save = save
        self._pair: _ConnectionPair | None = None
        self._kept: _ConnectionPair | None = None
        self._venue_gone = asyncio.Event()
        self._venue_gone.set()
        self._resending: ResendRange | None = None
        self._logged_on = False

    @property
    def live(self) -> bool:
        """Return whether the client is logged on."""
        return self._pair is not None and self._logged_on and not self._pair.cut

    # A connection of the client.

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, framer: Framer,
        first: Message,
    ) -> None:  # fmt: skip
        """Serve one connection until it ends; ``first`` is its Logon."""
        self.logon_pause_s = time.monotonic() - self.refused_at
        if self._pair is not None and not self._pair.over:
            self._watcher.note(self, ">", first, "a second connection, closed without a message")
            await asyncio.sleep(REFUSAL_S)
            return
        if self.refusals:
            self.refusals -= 1
            await self._watcher.from_client(self, first)
            self._watcher.note(self, "!", None, "closed without a message")
            await asyncio.sleep(REFUSAL_S)
            self.refused_at = time.monotonic()
            return
        pair = _ConnectionPair(writer)
        self._pair, self._logged_on = pair, False
        self.gone.clear()
        try:
            await self._carry(pair, reader, framer, first)
        except (OSError, TimeoutError) as error:
            self._watcher.note(self, "!", None, f"the venue cannot be reached: {error}")
        finally:
            if self._pair is pair:
                self._pair, self._logged_on = None, False
                self.gone.set()
            self._watcher.disconnected(self, pair.on_purpose)

    async def _carry(
        self, pair: _ConnectionPair, reader: asyncio.StreamReader, framer: Framer, first: Message
    ) -> None:
        async with asyncio.timeout(UPSTREAM_GONE_S):
            await self._venue_gone.wait()
        async with asyncio.timeout(CONNECT_S):
            venue_reader, pair.venue = await asyncio.open_connection(*self._venue)
        self._venue_gone.clear()
        back = asyncio.create_task(self._from_venue(pair, venue_reader))
        try:
            await self._take(pair, first)
            for frame in framer.feed(b""):
                await self._frame(pair, frame.raw, frame.good)
            while data := await reader.read(READ_BYTES):
                for frame in framer.feed(data):
                    await self._frame(pair, frame.raw, frame.good)
        except ConnectionError:
            pass  # Cut by either side; the end is handled below.
        finally:
            # A new connection of the client must not count as a second one.
            pair.cut = True
            self.speak()
            if not pair.keep_venue:
                pair.venue.close()
                await asyncio.gather(back, return_exceptions=True)

    async def _frame(self, pair: _ConnectionPair, raw: bytes, good: bool) -> None:
        if good:
            await self._take(pair, Message(raw))
            return
        text = raw.decode("latin-1").replace("\x01", "|")
        self._watcher.note(self, ">", None, f"garbled: {text[:500]}")
        if pair.venue is not None:
            pair.venue.write(raw)

    async def _take(self, pair: _ConnectionPair, message: Message) -> None:
        """Take a message of the client."""
        pair.logouts += message.type == "5"
        if message.type == "A":
            interval = message.get(108)
            self.heartbeat_s = int(interval) if interval.isdigit() else 30
            if message.get(141) == "Y" or self.kind == "market_data":
                self.highest = 0  # The numbers of a market data session begin with each Logon.
        passes = await self._watcher.from_client(self, message)
        self.highest = max(self.highest, message.num)
        if not passes:
            self._watcher.note(self, "!", None, "that message was lost on purpose")
            return
        if pair.venue is not None and not pair.venue.is_closing():
            pair.venue.write(self._towards_venue(pair, message))

    def _towards_venue(self, pair: _ConnectionPair, message: Message) -> bytes:
        """Return a message as sent to the venue, with visible numbers mapped to the venue's."""
        if message.type == "2":
            return self._ask(pair, message)
        if message.type in ("3", "j") and message.get(45).isdigit():
            number = int(message[45])
            venue = self.numbering.at_or_after(number)
            if self.numbering.visible(venue) != number:
                return _as_heartbeat(message)  # It refers to an injected message.
            return changed(message, {45: str(venue)}) if venue != number else message.raw
        return message.raw

    def _ask(self, pair: _ConnectionPair, message: Message) -> bytes:
        begin, end = message.get(7), message.get(16) or "0"
        if not (begin.isdigit() and end.isdigit()):
            return message.raw
        resending = resend_range(self.numbering, int(begin), int(end))
        if resending.venue_begin > resending.venue_end and self.numbering.shifts:
            # Only injected numbers, unknown to the venue: they are answered with a gap fill here.
            for fill in resending.finish():
                self._fill(fill)
            return _as_heartbeat(message)
        self._resending = resending
        if resending.venue_begin == int(begin) and (end == "0" or resending.venue_end == int(end)):
            return message.raw
        venue_end = "0" if end == "0" else str(resending.venue_end)
        return changed(message, {7: str(resending.venue_begin), 16: venue_end})

    # The other direction.

    async def _from_venue(self, pair: _ConnectionPair, reader: asyncio.StreamReader) -> None:
        framer = Framer()
        try:
            while data := await reader.read(READ_BYTES):
                for frame in framer.feed(data):
                    await self._pass_on(pair, Message(frame.raw))
        except ConnectionError:
            pass  # The venue has cut; the client's side is closed below.
        finally:
            # A message of the client may still be held, but a new connection may be made.
            pair.cut = True
            self._venue_gone.set()
            if pair.venue is not None:
                pair.venue.close()
            pair.client.close()

    async def _pass_on(self, pair: _ConnectionPair, message: Message) -> None:
        if message.type == "A" and message.get(141) == "Y":
            self.numbering.reset()
            self._resending = None
            self._save()
        if message.num and not message.possdup:
            self.numbering.seen(message.num)
        if message.possdup and self._resending is not None and not self._resending.done:
            self._again(self._resending, message)
            return
        if message.type == "1":
            self.tests.append(message.get(112))
            if self.calm:
                self.speaking.clear()
        await self.speaking.wait()
        seen = self._as_seen(message)
        if pair.cut:
            self._watcher.note(self, "<", seen, "lost with the connection")
            self.missed.append(seen)
            self.missing.set()
            return
        if self._dropped(seen):
            self._watcher.note(self, "<", seen, "lost on purpose")
            return
        if seen.type == "A":
            self._logged_on = True
        pair.logouts += seen.type == "5"
        self._to_client(seen)

    def _as_seen(self, message: Message) -> Message:
        """Return the message with visible numbers."""
        visible = self.numbering.visible(message.num)
        values: dict[int, str | None] = {}
        if visible != message.num:
            values[34] = str(visible)
        if message.type == "4" and message.get(36).isdigit():
            after = self.numbering.visible(int(message[36]))
            if after != int(message[36]):
                values[36] = str(after)
        return Message(changed(message, values)) if values else message

    def _again(self, resending: ResendRange, message: Message) -> None:
        """Forward a message that the venue resends, with gap fills for injected numbers."""
        seen = self._as_seen(message)
        after = seen.num + 1
        last = message.num
        if seen.type == "4" and seen.get(36).isdigit():
            after, last = int(seen[36]), int(message[36]) - 1
        for fill in resending.pass_on(seen.num, after):
            self._fill(fill)
        self._to_client(seen)
        if last >= resending.venue_end:
            for fill in resending.finish():
                self._fill(fill)

    def _dropped(self, message: Message) -> bool:
        for wanted in self.drops:
            if all(same(message.get(tag), value) for tag, value in wanted.items()):
                self.drops.remove(wanted)
                return True
        return False

    def _to_client(self, message: Message, ours: str = "") -> None:
        pair = self._pair
        if pair is None or pair.cut or pair.client.is_closing():
            self._watcher.note(self, "<", message, "lost with the connection")
            return
        pair.client.write(message.raw)
        self._watcher.from_venue(self, message, ours)

    def _fill(self, fill: GapFill) -> None:
        fields = {35: "4", 34: str(fill.begin), 43: "Y", 123: "Y", 36: str(fill.after)}
        self._to_client(self.composed(fields))

    # Actions of the referee.

    def composed(
        self, fields: Mapping[int, str], group: Iterable[tuple[int, str]] = ()
    ) -> Message:
        """Compose a message as the venue would, with MsgSeqNum(34) only if ``fields`` has it."""
        moment = exact_time_text(now())
        header = {49: "TANDEM", 56: self.comp_id, 52: moment}
        if fields.get(43) == "Y" or fields.get(97) == "Y":
            header[122] = moment
        head = in_order({35: fields[35], **header, **_header_of(fields)})
        body = [(tag, value) for tag, value in fields.items() if tag not in _HEADER]
        return Message(encode([*head, *body, *group]))

    def add(
        self, fields: Mapping[int, str], group: Iterable[tuple[int, str]] = ()
    ) -> Message:
        """Inject a message under the next visible number; ``group`` is appended to its body."""
        message = self.composed({**fields, 34: str(self.add_number())}, group)
        self._to_client(message, "added by the certifier")
        return message

    def hole(self) -> Message:
        """Use the next visible number without sending a message."""
        message = self.composed({35: "0", 34: str(self.add_number())})
        self._watcher.note(self, "<", message, "never sent: its number is a hole")
        return message

    def put(self, message: Message) -> None:
        """Send the client a message unchanged, whatever its number."""
        self._to_client(message, "sent by the certifier")

    def put_garbled(self, message: Message) -> None:
        """Send the client a message with a wrong CheckSum(10)."""
        pair = self._pair
        if pair is None:
            return
        pair.client.write(garbled(message))
        self._watcher.note(self, "<", message, "sent with a wrong CheckSum(10)")

    def add_number(self) -> int:
        """Save and return the next visible number, for an injected message."""
        number = self.numbering.inject()
        self._save()
        return number

    def speak(self) -> None:
        """Release the venue's messages that are held."""
        self.calm = False
        self.speaking.set()

    def cut(self, *, keep_venue: bool) -> None:
        """Abort the client's connection; with ``keep_venue`` the one to the venue stays open."""
        pair = self._pair
        if pair is None:
            return
        pair.cut = pair.on_purpose = True
        self.missed.clear()
        pair.keep_venue = keep_venue
        pair.client.transport.abort()
        if not keep_venue and pair.venue is not None:
            pair.venue.transport.abort()
        self._watcher.note(self, "!", None, "the connection was cut on purpose")
        self._kept = pair

    async def cut_venue(self) -> None:
        """Close the connection to the venue of a client's connection that was cut."""
        kept = self._kept
        if kept is not None and kept.venue is not None:
            kept.venue.close()
        async with asyncio.timeout(CONNECT_S):
            await self._venue_gone.wait()


_HEADER: Final = frozenset({35, 34, 49, 52, 56, 43, 97, 122})


def _as_heartbeat(message: Message) -> bytes:
    """Return a Heartbeat with the number of a message that the venue must not see."""
    kept = {8, 9, 10, 34, 49, 50, 52, 56, 57}
    gone: dict[int, str | None] = {tag: None for tag, _ in message.pairs if tag not in kept}
    return changed(message, gone | {35: "0"})


def _header_of(fields: Mapping[int, str]) -> dict[int, str]:
    return {tag: value for tag, value in fields.items() if tag in _HEADER and tag != 35}
