"""Hostile FIX: bytes, messages, fields and groups that no client should send. Seeded.

Everything here makes data; ``test_fuzz.py`` sends it.
"""

from __future__ import annotations

import random
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.fix.rawfix import SOH, encode, framed, now_text

DICTIONARY = Path(__file__).parent.parent.parent / "spec" / "FIX44.xml"
APPLICATION = ("D", "F", "G", "q", "E", "UB", "H", "AF", "x", "AD", "BB", "UD")
"""The messages that the venue serves; each is answered, whatever is in it."""
UNANSWERED_TAGS = frozenset("8 9 10 34 35 43 49 52 56 95 96 122".split())
"""Fields that may make a message garbled, a repeat of an older one, or end the session."""
VALUES = (
    "", "0", "-0", "-1", "1", "2", "7", "00000000000000000001", "0.01", ".5", "5.", ".", "-", "+1",
    "1e5", "1E-5", "0x10", "NaN", "Infinity", "-Infinity", "1,5", " 1", "1 ", "١", "½",
    "9" * 18, "9" * 19, "9" * 40, "0." + "0" * 40 + "1", "1" + "0" * 400, "9223372036854775807",
    "9223372036854775808", "18446744073709551616", "-9223372036854775809", "0.000000001",
    "BTC-USD", "ETH-USD", "btc-usd", "BTC-USD ", "NONE", "Y", "N", "y", "D", "F", "G", "ZZ",
    "20260105-09:30:00", "20260230-25:61:61", "99991231-23:59:59.999999", "00000000-00:00:00",
    "19700101-00:00:00", "20260105", "yesterday", "carol", "alice", "alice:desk", "cert",
    "../../etc/passwd", "'; DROP TABLE orders;--", "%s%s%n", "${jndi:ldap://x}", "<&>\"'",
    "=", "==", "11=x", "a=b=c", "\t", "\n", "\r\n", "\0", "\x7f", "\xff\xfe", "é", "😀",
    "A" * 64, "A" * 65, "A" * 1000, "x" * 20_000, " ", "None", "null", "True", "[]", "{}",
)  # fmt: skip
"""Values that have broken parsers before."""


@dataclass(frozen=True)
class Group:
    """A repeating group of the dictionary: its count, and the tags of an entry in order."""

    count: str
    members: tuple[str, ...]


@dataclass(frozen=True)
class Shape:
    """A message of the dictionary: its fields outside of groups, and its groups."""

    tags: tuple[str, ...]
    groups: tuple[Group, ...]


def shapes() -> dict[str, Shape]:
    """Every message of our dictionary, and all that its fields may hold."""
    root = ElementTree.parse(DICTIONARY).getroot()
    fields = root.find("fields")
    messages = root.find("messages")
    assert fields is not None and messages is not None
    numbers = {field.attrib["name"]: field.attrib["number"] for field in fields}
    found = {}
    for message in messages:
        groups = tuple(
            Group(
                numbers[group.attrib["name"]],
                tuple(numbers[field.attrib["name"]] for field in group.findall("field")),
            )
            for group in message.findall("group")
        )
        tags = tuple(numbers[field.attrib["name"]] for field in message.findall("field"))
        found[message.attrib["msgtype"]] = Shape(tags, groups)
    return found


SHAPES = shapes()
ALL_TAGS = sorted(
    {tag for shape in SHAPES.values() for tag in shape.tags}
    | {tag for shape in SHAPES.values() for group in shape.groups for tag in group.members},
    key=int,
)


class Hostile:
    """A source of hostile data. ``name`` gives an id that was not used before."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self._count = 0
        self._seed = seed

    def name(self) -> str:
        self._count += 1
        return f"z{self._seed}.{self._count}"

    # Bytes before a Logon.

    def opening(self, logon: bytes) -> bytes:
        """What a stranger might begin with, often near a right Logon."""
        choose = self.random
        kind = choose.randrange(9)
        if kind == 0:
            return choose.randbytes(choose.choice((1, 7, 100, 5000, 70_000)))
        if kind == 1:
            return self.flipped(logon)
        if kind == 2:
            return logon[: choose.randrange(len(logon))]
        if kind == 3:
            return b"8=FIX.4.4\x019=" + choose.choice(
                (b"99999", b"999999999999", b"-5", b"0", b"", b"1e3", b"\x01", b"00000000088")
            ) + b"\x0135=A\x01"  # fmt: skip
        if kind == 4:
            return choose.choice((
                b"GET / HTTP/1.1\r\n\r\n", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
                b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x01\0\x01\0\x02",
                b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", b"SSH-2.0-x\r\n", b"\0" * 4096,
            ))  # fmt: skip
        if kind == 5:
            return logon * choose.choice((2, 20))
        if kind == 6:
            return logon.replace(b"\x01", choose.choice((b"|", b"\x01\x01", b"\x02")), 3)
        return self.reframed(logon)

    def logon(self, comp_id: str) -> bytes:
        """A right Logon of a session that may begin again."""
        firm = comp_id.lower()
        return encode(
            f"35=A|34=1|49={comp_id}|52={now_text()}|56=TANDEM|98=0|108=30|141=Y|553={firm}|"
            f"554={firm}-demo|"
        )

    def wrong_logon(self, comp_id: str, num: int) -> bytes:
        """A Logon with something in it that is wrong, or nothing: fields that are missing, twice,
        foreign, of any value, in any order, with and without right credentials."""
        choose, firm = self.random, comp_id.lower()
        header = [("34", str(num)), ("49", comp_id), ("52", now_text()), ("56", "TANDEM")]
        body = [("98", "0"), ("108", "30"), ("553", firm), ("554", f"{firm}-demo")]
        if choose.random() < 0.5:
            body.append(("141", choose.choice("YYYN")))
        for _ in range(choose.choice((0, 1, 1, 2))):
            fields = choose.choice((header, body))
            place = choose.randrange(len(fields))
            tag, value = fields[place]
            what = choose.randrange(5)
            if what == 0:
                fields[place] = (tag, self.value().replace("\x01", "") or "0")
            elif what == 1 and len(fields) > 1:
                del fields[place]
            elif what == 2:
                fields.append((tag, value))
            elif what == 3:
                extra = choose.choice("58 115 129 384 789 925 1137 464 383 43 20003 0141".split())
                fields.append((extra, choose.choice(("1", "Y", "2", "x"))))
            else:
                choose.shuffle(fields)
        if choose.random() < 0.15:
            header, body = body, header
        text = "".join(f"{tag}={value}{SOH}" for tag, value in header + body)
        return framed(f"35=A{SOH}{text}")

    # Damaged frames.

    def flipped(self, data: bytes) -> bytes:
        """Some bytes changed, taken out or doubled; length and sum are left as they were."""
        damaged = bytearray(data)
        for _ in range(self.random.choice((1, 1, 2, 5))):
            place = self.random.randrange(len(damaged))
            what = self.random.randrange(3)
            if what == 0:
                damaged[place] = self.random.randrange(256)
            elif what == 1:
                del damaged[place]
            else:
                damaged.insert(place, self.random.choice((1, 0, 61, 56, 255)))
        return bytes(damaged)

    def reframed(self, data: bytes) -> bytes:
        """Fields changed, taken out, doubled or moved, with a right length and sum."""
        fields = data.decode("latin-1").split(SOH)[2:-2]
        for _ in range(self.random.choice((1, 1, 2, 4))):
            place = self.random.randrange(len(fields))
            what = self.random.randrange(5)
            if what == 0:
                fields[place] = fields[place].partition("=")[0] + "=" + self.value()
            elif what == 1 and len(fields) > 1:
                del fields[place]
            elif what == 2:
                fields.insert(place, fields[place])
            elif what == 3:
                fields.insert(place, fields.pop(self.random.randrange(len(fields))))
            else:
                fields.insert(place, f"{self.tag()}={self.value()}")
        return framed(SOH.join(fields) + SOH)

    def value(self) -> str:
        return self.random.choice(VALUES)

    def tag(self) -> str:
        return self.random.choice((*ALL_TAGS, "0", "-1", "", "99999999999", "4999", "20999", "x"))

    # Messages in a session.

    def fields(self, msg_type: str) -> str:
        """Fields of a message, most of them right, some hostile, in a right frame."""
        shape = SHAPES[msg_type]
        parts = [self._field(tag) for tag in shape.tags if self.random.random() < 0.8]
        for group in shape.groups:
            parts += self._entries(msg_type, group)
        for _ in range(self.random.choice((0, 0, 1, 2))):
            change = self.random.randrange(4)
            place = self.random.randrange(len(parts) + 1)
            if change == 0 and parts:
                del parts[place - 1]
            elif change == 1 and parts:
                parts.insert(place, self.random.choice(parts))
            elif change == 2:
                # A tag that is no number makes a garbled message, which has no answer.
                tag = self.random.choice((*ALL_TAGS, "4999", "20999", "99999999"))
                if tag not in UNANSWERED_TAGS:
                    parts.insert(place, f"{tag}={self.value()}")
            else:
                self.random.shuffle(parts)
        return "".join(part + SOH for part in parts)

    def _field(self, tag: str) -> str:
        hostile = self.random.random() < 0.15
        return f"{tag}={self.value() if hostile else self._usual(tag)}"

    def _usual(self, tag: str) -> str:
        """A value that is right as a rule. No order reaches the others' instrument."""
        right: dict[str, Callable[[], str]] = {
            "11": self.name, "41": lambda: f"z{self._seed}.{self.random.randrange(1, 200)}",
            "66": self.name, "55": lambda: self.random.choice(("BTC-USD", "ETH-USD")),
            "54": lambda: self.random.choice("12"), "38": lambda: "0.01",
            "40": lambda: self.random.choice("1234"), "44": lambda: self.random.choice(PRICES),
            "99": lambda: "30000", "59": lambda: self.random.choice("01346"), "60": now_text,
            "126": lambda: now_text(3600), "37": lambda: str(self.random.randrange(1, 500)),
            "18": lambda: "6", "21": lambda: "1", "111": lambda: "0.01", "110": lambda: "0.01",
            "152": lambda: "100", "394": lambda: "3", "530": lambda: self.random.choice("17"),
            "585": lambda: self.random.choice("17"), "559": lambda: self.random.choice("04"),
            "569": lambda: self.random.choice("01"), "20011": lambda: self.random.choice("DFG"),
            "580": lambda: "1", "75": lambda: "20260105", "1028": lambda: "Y",
            "20005": lambda: self.random.choice("01234"), "20009": lambda: "0",
            "20008": lambda: "0", "17": lambda: "1-0", "263": lambda: "0",
        }  # fmt: skip
        return right.get(tag, lambda: self.random.choice(("x", "1", "cert")))()

    def _entries(self, msg_type: str, group: Group) -> list[str]:
        """Entries of a group, with a count that may be wrong."""
        number = self.random.choice((0, 1, 1, 2, 3, 50, 51))
        counts = (str(number),) * 12 + ("0", "-1", str(number + 1), "99999999", "", "x", "9" * 30)
        parts = [f"{group.count}={self.random.choice(counts)}"]
        if msg_type == "E":
            parts.insert(0, f"68={number}")
        for place in range(number):
            for tag in group.members:
                if tag == group.members[0] or self.random.random() < 0.9:
                    value = str(place + 1) if tag == "67" else None
                    parts.append(f"{tag}={value}" if value else self._field(tag))
        return parts


PRICES = ("100", "200", "29999.99", "30000", "30001", "50000")
