"""FIX messages decoded for people: names of tags and values by the venue's own dictionary. Pure.

Messages come from the gateway with ``|`` for SOH and without secrets.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, NamedTuple

import msgspec

Direction = Literal["in", "out"]
Source = Callable[[str, str, int], str]
"""Asks the gateway: CompID, cursor or ``-``, how many; returns its JSON. Raises Problem."""

BEGINNING: Final = "-"
LIMIT_MAX: Final = 1_000
_FIELD: Final = re.compile(r"\|(?=[0-9]+=|\Z)")
_STAMP: Final = re.compile(r"(\d{4})(\d\d)(\d\d)-(\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?")
_IDS: Final = ("11", "41", "37", "117", "390", "262", "568", "584")
"""Fields by which somebody looks for an order: its ids, and those of lists and requests."""


class Answer(msgspec.Struct, frozen=True):
    """What the gateway answers."""

    came: list[tuple[int, str, str]] = msgspec.field(name="in")
    went: list[tuple[int, str]] = msgspec.field(name="out")
    cursor: str
    again: bool = False


class Field(NamedTuple):
    """A field with its name, "" where it has none, and what its value means, "" for nothing."""

    tag: int
    name: str
    value: str
    meaning: str


class Message(NamedTuple):
    """A message; ``time`` in ISO 8601 (UTC), of arrival or its SendingTime(52)."""

    direction: Direction
    number: int
    time: str
    type: str
    name: str
    raw: str
    fields: tuple[Field, ...]


class Dictionary:
    """Names of fields, values and messages."""

    def __init__(self, path: Path) -> None:
        root = ElementTree.parse(path).getroot()
        self._names: dict[str, str] = {}
        self._meanings: dict[tuple[str, str], str] = {}
        for field in root.iterfind("./fields/field"):
            tag = field.get("number", "")
            self._names[tag] = field.get("name", "")
            for value in field.iterfind("value"):
                self._meanings[tag, value.get("enum", "")] = value.get("description", "")
        self._messages = {
            message.get("msgtype", ""): message.get("name", "")
            for message in root.iterfind("./messages/message")
        }

    def decoded(self, direction: Direction, stamp: str, raw: str) -> Message:
        """Decode a message."""
        fields = tuple(self._fields(raw))
        first = {field.tag: field.value for field in reversed(fields)}
        kind, number = first.get(35, ""), first.get(34, "")
        return Message(
            direction, int(number) if number.isdecimal() and len(number) < 19 else 0,
            iso(stamp or first.get(52, "")), kind, self._messages.get(kind, ""), raw, fields,
        )  # fmt: skip

    def _fields(self, raw: str) -> Iterator[Field]:
        for text in _FIELD.split(raw):
            tag, equals, value = text.partition("=")
            if equals and tag.isdecimal() and len(tag) < 10:
                meanings = (self._meanings.get((tag, one), "") for one in value.split(" "))
                meaning = ", ".join(filter(None, meanings))
                yield Field(int(tag), self._names.get(tag, ""), value, meaning)


class Wanted(NamedTuple):
    """Which messages somebody wants; "" and 0 are no filter. Times as ``Message.time``."""

    type: str = ""
    direction: str = ""
    client_order_id: str = ""
    text: str = ""
    start: str = ""
    end: str = ""

    def takes(self, message: Message) -> bool:
        """Return whether a message is wanted."""
        if self.direction and message.direction != self.direction:
            return False
        if self.type and self.type not in (message.type, message.name):
            return False
        if self.start and message.time < self.start:
            return False
        if self.end and message.time >= self.end:
            return False
        if self.client_order_id and not any(
            str(field.tag) in _IDS and field.value == self.client_order_id
            for field in message.fields
        ):
            return False
        return self.text.lower() in message.raw.lower()


def decode(dictionary: Dictionary, answer: Answer, wanted: Wanted) -> list[Message]:
    """Return the messages of an answer that are wanted, in the order of their times."""
    both = [dictionary.decoded("in", stamp, text) for _, stamp, text in answer.came]
    both += [dictionary.decoded("out", "", text) for _, text in answer.went]
    # A report has the time at which it left, a message of the client that of its arrival.
    return sorted(filter(wanted.takes, both), key=lambda message: message.time)


def iso(stamp: str) -> str:
    """Turn a UTCTimestamp into ISO 8601 with microseconds; "" for anything else."""
    found = _STAMP.match(stamp)
    if found is None:
        return ""
    year, month, day, clock, fraction = found.groups()
    return f"{year}-{month}-{day}T{clock}.{(fraction or '').ljust(6, '0')}Z"


def iso_of(us: int) -> str:
    """Return microseconds since 1970 in ISO 8601; "" for 0."""
    if not us:
        return ""
    return datetime.fromtimestamp(us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + (
        f"{us % 1_000_000:06d}Z"
    )


def lines(messages: Iterable[Message]) -> Iterator[str]:
    """Write messages for a terminal: one line each, and one for each field."""
    for one in messages:
        way = "client > venue" if one.direction == "in" else "venue > client"
        yield f"{one.time}  {way}  {one.name or 'unknown'}({one.type})  MsgSeqNum {one.number}"
        for field in one.fields:
            if field.tag not in (8, 9, 10, 34, 35, 49, 52, 56):
                meaning = f"  {field.meaning}" if field.meaning else ""
                yield f"    {field.name or '?'}({field.tag}) = {field.value}{meaning}"
