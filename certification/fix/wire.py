"""FIX messages as bytes: framing a stream, parsing messages, encoding them.

No fault is hidden: a message keeps its bytes as received, garbled bytes of a stream are yielded as
such, and messages can be encoded wrongly on purpose.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from xml.etree import ElementTree

from config.shipped import shipped

SOH: Final = "\x01"
BEGIN: Final = b"8=FIX"
BYTES_MAX: Final = 1 << 17
"""A message longer than this is garbled."""
ADMIN: Final = frozenset("0 1 2 3 4 5 A".split())
SECRETS: Final = frozenset({96, 554, 925})
"""RawData, Password and NewPassword: never shown, never recorded."""
_HEADER_FIRST: Final = (35, 34, 49, 52, 56)
_HEADER_MORE: Final = frozenset({43, 97, 122, 50, 57, 115, 128})
_TRAILER_BYTES: Final = 7
DICTIONARY: Final = shipped("spec/FIX44.xml")

Pairs = tuple[tuple[int, str], ...]


class Message:
    """A message as received: its bytes, and its fields in order."""

    __slots__ = ("_first", "pairs", "raw")

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        pairs = []
        for part in raw.decode("latin-1").split(SOH)[:-1]:
            tag, _, value = part.partition("=")
            if tag.isdigit():
                pairs.append((int(tag), value))
        self.pairs: Pairs = tuple(pairs)
        self._first = dict(reversed(self.pairs))

    def get(self, tag: int, default: str = "") -> str:
        """Return the first value of a tag."""
        return self._first.get(tag, default)

    def look_up(self, key: str) -> str | None:
        """Return the first value of a tag, as scenarios name it; None if it is absent."""
        return self._first.get(int(key))

    def __contains__(self, tag: int) -> bool:
        return tag in self._first

    def __getitem__(self, tag: int) -> str:
        return self._first[tag]

    @property
    def type(self) -> str:
        """Return MsgType(35)."""
        return self.get(35)

    @property
    def num(self) -> int:
        """Return MsgSeqNum(34), 0 if it is absent or not a number."""
        text = self.get(34)
        return int(text) if text.isdigit() and len(text) < 19 else 0

    @property
    def possdup(self) -> bool:
        """Return whether PossDupFlag(43) is Y."""
        return self.get(43) == "Y"

    @property
    def admin(self) -> bool:
        """Return whether it is a session (admin) message."""
        return self.type in ADMIN

    def entries(self, count: int, first: int) -> list[dict[int, str]]:
        """Return the entries of a repeating group: they begin with tag ``first``, after ``count``.

        The last entry takes everything up to the trailer: enough to look fields up in.
        """
        found: list[dict[int, str]] = []
        inside = False
        for tag, value in self.pairs:
            if tag == count:
                inside = True
            elif inside and tag == first:
                found.append({tag: value})
            elif inside and found and tag != 10:
                found[-1].setdefault(tag, value)
        return found

    def shown(self) -> str:
        """Return the message with ``|`` between fields and without secrets."""
        return "".join(f"{tag}={shown_value(tag, value)}|" for tag, value in self.pairs)

    def __repr__(self) -> str:
        return self.shown()


def shown_value(tag: int, value: str) -> str:
    """Return a value for display, with secrets masked."""
    return "***" if tag in SECRETS else value


@dataclass(frozen=True, slots=True)
class Frame:
    """A piece of a stream: a complete message, or garbled bytes (``good`` is False)."""

    raw: bytes
    good: bool


class Framer:
    """Splits a stream into frames. Bytes that cannot be a message are one garbled frame."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Take bytes and yield the frames that are complete."""
        self._buffer += data
        while self._buffer:
            frame = self._next()
            if frame is None:
                return
            self._buffer = self._buffer[len(frame.raw) :]
            yield frame

    def put_back(self, data: bytes) -> None:
        """Take bytes that were read before; ``feed`` yields them first."""
        self._buffer += data

    def rest(self) -> bytes:
        """Return the bytes of the incomplete frame."""
        return self._buffer

    def _next(self) -> Frame | None:
        start = self._buffer.find(BEGIN)
        if start > 0:
            return Frame(self._buffer[:start], False)
        if start < 0:
            # The end may be the beginning of "8=FIX".
            keep = next(n for n in range(len(BEGIN), -1, -1) if self._buffer.endswith(BEGIN[:n]))
            rubbish = self._buffer[: len(self._buffer) - keep]
            return Frame(rubbish, False) if rubbish else None
        size = _size(self._buffer)
        if size == 0:
            return None
        if size > 0 and len(self._buffer) < size:
            return None
        raw = self._buffer[:size] if size > 0 else b""
        if raw and _trailed(raw):
            return Frame(raw, checksum(raw[:-_TRAILER_BYTES]) == raw[-4:-1].decode("ascii"))
        again = self._buffer.find(b"\x01" + BEGIN, 1) + 1
        return Frame(self._buffer[:again] if again else self._buffer, False)


def _size(buffer: bytes) -> int:
    """Return the length of the message at the start of the buffer; 0 if not yet known, -1 if it
    cannot be a message."""
    at = buffer.find(b"\x01", 0, 16)
    if at < 0:
        return 0 if len(buffer) < 16 else -1
    if len(buffer) < at + 4:
        return 0
    if buffer[at + 1 : at + 3] != b"9=":
        return -1
    end = buffer.find(b"\x01", at + 3, at + 12)
    if end < 0:
        return 0 if len(buffer) < at + 12 else -1
    digits = buffer[at + 3 : end]
    if not digits.isdigit() or int(digits) > BYTES_MAX:
        return -1
    return end + 1 + int(digits) + _TRAILER_BYTES


def _trailed(raw: bytes) -> bool:
    """Return whether it ends with a CheckSum field: 10=ddd."""
    tail = raw[-_TRAILER_BYTES:]
    return (
        tail[:3] == b"10=" and tail[3:6].isdigit() and tail[6:] == b"\x01" and raw[-8:-7] == b"\x01"
    )


def checksum(content: bytes) -> str:
    """Return CheckSum(10) of the content before that field."""
    return f"{sum(content) % 256:03d}"


def encode(pairs: Iterable[tuple[int, str]], begin: str = "FIX.4.4") -> bytes:
    """Encode a message with these fields in this order; add 8, 9 and 10."""
    content = "".join(f"{tag}={value}{SOH}" for tag, value in pairs).encode("latin-1")
    head = f"8={begin}{SOH}9={len(content)}{SOH}".encode("ascii")
    return head + content + f"10={checksum(head + content)}{SOH}".encode("ascii")


def changed(message: Message, values: Mapping[int, str | None]) -> bytes:
    """Encode the message with other values; None removes a field, new fields join the header."""
    old = [(tag, value) for tag, value in message.pairs if tag not in (8, 9, 10)]
    pairs = []
    for tag, value in old:
        if tag not in values:
            pairs.append((tag, value))
        elif (new := values[tag]) is not None:
            pairs.append((tag, new))
    known = {tag for tag, _ in old}
    place = 1 + max((n for n, (tag, _) in enumerate(pairs) if tag in _HEADER_FIRST), default=-1)
    for tag, new in values.items():
        if tag not in known and new is not None:
            pairs.insert(place, (tag, new))
            place += 1
    return encode(pairs, message.get(8, "FIX.4.4"))


def garbled(message: Message) -> bytes:
    """Encode the message with a wrong CheckSum(10)."""
    wrong = (int(message.raw[-4:-1]) + 1) % 256
    return message.raw[:-4] + f"{wrong:03d}{SOH}".encode("ascii")


def in_order(fields: Mapping[int, str]) -> list[tuple[int, str]]:
    """Return fields with those of the header first."""
    head = [(tag, fields[tag]) for tag in _HEADER_FIRST if tag in fields]
    more = [(tag, value) for tag, value in fields.items() if tag in _HEADER_MORE]
    rest = [
        (tag, value) for tag, value in fields.items()
        if tag not in _HEADER_FIRST and tag not in _HEADER_MORE
    ]  # fmt: skip
    return head + more + rest


def now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


def time_text(moment: datetime) -> str:
    """Return a UTCTimestamp with milliseconds."""
    return f"{moment:%Y%m%d-%H:%M:%S}.{moment.microsecond // 1000:03d}"


def exact_time_text(moment: datetime) -> str:
    """Return a UTCTimestamp with microseconds."""
    return f"{moment:%Y%m%d-%H:%M:%S.%f}"


def parse_time(text: str) -> datetime | None:
    """Parse a UTCTimestamp with any fraction; return None if it is not one."""
    whole, _, fraction = text.partition(".")
    try:
        moment = datetime.strptime(whole, "%Y%m%d-%H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    if fraction and not (fraction.isdigit() and len(fraction) <= 9):
        return None
    return moment.replace(microsecond=int(fraction[:6].ljust(6, "0"))) if fraction else moment


@lru_cache(maxsize=1)
def tag_names() -> dict[int, str]:
    """Return the names of the fields in the venue's dictionary, by tag."""
    root = ElementTree.parse(DICTIONARY).getroot()
    return {int(f.get("number", "0")): f.get("name", "") for f in root.iterfind("fields/field")}


@lru_cache(maxsize=1)
def type_names() -> dict[str, str]:
    """Return the names of the messages in the venue's dictionary, by MsgType."""
    root = ElementTree.parse(DICTIONARY).getroot()
    return {m.get("msgtype", ""): m.get("name", "") for m in root.iterfind("messages/message")}


def tag_name(tag: int) -> str:
    """Return a tag with its name: ``OrderQty(38)``."""
    name = tag_names().get(tag)
    return f"{name}({tag})" if name else f"tag {tag}"


def type_name(msg_type: str) -> str:
    """Return a MsgType with its name: ``ExecutionReport(8)``."""
    name = type_names().get(msg_type)
    return f"{name}({msg_type})" if name else f"MsgType {msg_type}"
