"""Scripts of FIX conversations: text files that say what is sent and what must come back.

A file begins with its heading, ``key: value`` lines up to the first empty one: ``case`` (its
number in the FIX Trading Community's list of session test cases), ``condition``, ``expected``
(the behaviour that the case expects), ``result`` (``conforms`` or ``differs``) and, where it
differs, ``does`` and ``why``. Then comes one step a line; ``#`` begins a comment:

    connect [COMP]          open a connection as this CompID (CERT unless given)
    > A|98=0|108=30         send: MsgType, then fields. 8, 9, 34, 49, 52, 56 and 10 are added;
                            one that stands directly after the MsgType is taken as it is given,
                            and then the counter of outgoing numbers stays where it is
    >> 8=FIX.4.4|9=5|...    send exactly this, with | for SOH
    < 8|150=0|58=~late      the next message must be of this type with these fields:
                            * any value, ! absent, ~text contained, $name noted or compared
    knock 1|34=3|112=x      send this, and again twice a second until something comes
    closed                  the other side must close without sending anything more
    disconnect              close our side
    number 7, expect 7      the next outgoing or incoming MsgSeqNum
    wait 1.5                say nothing for so many seconds
    mark, elapsed 1.5 4     so many seconds must have passed since the mark: at least the first;
                            at most the second, which a slow machine widens
    ignore 0 1              pass over messages of these types from here on
    hold, flush             send what is between the two in one piece
    do kill engine          something that is done to the venue: kill, stop or start a process
    2: > A|98=0             a step of another connection, by any label

In what is sent ``{now}``, ``{now-600}`` are times; ``{next}``, ``{next-1}`` count from the next
outgoing number, ``{take}`` is it and uses it up; ``{in}`` is the next incoming one;
``{id a}`` an id of this run alone; ``{login}`` Username and Password; ``{length}`` and
``{sum}`` BodyLength and CheckSum as they should be; ``$name`` what was noted.

Every message that comes is also checked by itself: its length, checksum, CompIDs, time, and
that its number is the next one unless it says PossDupFlag=Y. Timeouts bound what may hang;
nothing else depends on time.
"""

from __future__ import annotations

import itertools
import re
import select
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.fix.rawfix import SOH, first_whole, framed, now_text
from tests.support import pace

SCRIPTS = Path(__file__).parent / "scripts"
TIMEOUT_S = 15.0
KNOCK_EVERY_S = 0.5
CLOCK_WITHIN_S = 60.0
_STANDARD = ("34", "49", "52", "56")
_WORD = re.compile(r"\{([^{}]*)\}|\$([a-z]+)")
_RUNS = itertools.count(1)
_RUN_AT = int(time.time())


@dataclass(frozen=True)
class Step:
    """One line of a script."""

    line: int
    label: str
    verb: str
    rest: str


@dataclass(frozen=True)
class Script:
    """A file: its heading and its steps."""

    name: str
    heading: dict[str, str]
    steps: tuple[Step, ...]

    @property
    def case(self) -> str:
        """The number of the case."""
        return self.heading["case"]

    @property
    def disturbs(self) -> bool:
        """Whether it kills or stops something, and needs a venue of its own."""
        return any(step.verb == "do" for step in self.steps)


_STEP = re.compile(r"(?:(\w+): )?(>>|>|<|[a-z]+)(?: (.*))?\Z")
_VERBS = frozenset(
    "connect > >> < knock closed disconnect number expect wait mark elapsed ignore hold flush do"
    .split()
)
_KEYS = {"case", "condition", "expected", "result", "does", "why"}


def parse(name: str, text: str) -> Script:
    """Read a script; raises ValueError for a line that is none of the above."""
    heading: dict[str, str] = {}
    lines = text.split("\n")
    position = 0
    for position, line in enumerate(lines):
        if not line.strip():
            break
        if line.startswith("  ") and heading:
            key = list(heading)[-1]
            heading[key] += " " + line.strip()
            continue
        key, colon, value = line.partition(":")
        if not colon or key not in _KEYS:
            raise ValueError(f"{name}:{position + 1}: no such heading: {line}")
        heading[key] = value.strip()
    missing = {"case", "condition", "expected", "result"} - heading.keys()
    if missing:
        raise ValueError(f"{name}: the heading has no {sorted(missing)}")
    steps = []
    for number, line in enumerate(lines[position:], position + 1):
        content = line.partition(" #")[0].rstrip()
        if not content or content.startswith("#"):
            continue
        found = _STEP.match(content)
        if found is None or found[2] not in _VERBS:
            raise ValueError(f"{name}:{number}: not a step: {line}")
        steps.append(Step(number, found[1] or "", found[2], (found[3] or "").strip()))
    return Script(name, heading, tuple(steps))


def load() -> list[Script]:
    """All scripts, in the order of their names."""
    return [
        parse(path.stem, path.read_text(encoding="utf-8")) for path in sorted(SCRIPTS.glob("*.txt"))
    ]


class Fields(list[tuple[str, str]]):
    """A received message: its fields in order."""

    def get(self, tag: str) -> str | None:
        """The first value of a tag."""
        return next((value for name, value in self if name == tag), None)

    def __repr__(self) -> str:
        return "|".join(f"{tag}={value}" for tag, value in self)


@dataclass
class Peer:
    """One connection of a script, and both counters."""

    comp_id: str
    sock: socket.socket | None = None
    buffer: bytes = b""
    out: int = 1
    expected: int = 1
    ignored: set[str] = field(default_factory=set)
    held: bytes | None = None

    def receive(self, deadline: float) -> Fields | None:
        """The next message; None at the end of the stream. Raises TimeoutError."""
        assert self.sock is not None, "not connected"
        while True:
            raw, self.buffer = first_whole(self.buffer)
            if raw:
                return _checked(raw)
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self.sock.settimeout(left)
            try:
                data = self.sock.recv(65536)
            except ConnectionError:
                data = b""
            if not data:
                assert not self.buffer, f"the stream ends within a message: {self.buffer!r}"
                return None
            self.buffer += data


def _checked(raw: bytes) -> Fields:
    """The fields of a framed message whose frame is right."""
    assert raw.endswith(b"\x01") and raw[-7:-4] == b"10=", f"BodyLength is wrong: {raw!r}"
    assert int(raw[-4:-1]) == sum(raw[:-7]) % 256, f"CheckSum is wrong: {raw!r}"
    fields = Fields()
    for part in raw.decode("ascii").split(SOH)[:-1]:
        tag, _, value = part.partition("=")
        fields.append((tag, value))
    assert [tag for tag, _ in fields[:3]] == ["8", "9", "35"], fields
    assert fields.get("8") == "FIX.4.4", fields
    return fields


class Failed(AssertionError):
    """A step was not met; says which, and what was said before."""


class Run:
    """One run of a script against a gateway, from a source address of its own."""

    def __init__(
        self,
        script: Script,
        address: tuple[str, int],
        source: str,
        actions: Mapping[str, Callable[[], object]] | None = None,
    ) -> None:
        self.script = script
        self.address = address
        self.source = source
        self.actions = actions or {}
        self.run = f"{_RUN_AT}.{next(_RUNS)}"
        self.peers: dict[str, Peer] = {}
        self.noted: dict[str, str] = {}
        self.marked = time.monotonic()
        self.log: list[str] = []

    def play(self) -> None:
        """Do every step. Raises Failed."""
        try:
            for step in self.script.steps:
                try:
                    self._do(step)
                except (AssertionError, TimeoutError, OSError) as error:
                    heard = "\n".join(self.log)
                    reason = str(error) or type(error).__name__
                    raise Failed(
                        f"{self.script.name}.txt:{step.line}: {step.verb} {step.rest}\n{reason}\n"
                        f"so far:\n{heard}"
                    ) from error
        finally:
            for peer in self.peers.values():
                if peer.sock is not None:
                    peer.sock.close()

    def _do(self, step: Step) -> None:
        if step.verb == "connect":
            self._connect(step)
            return
        if step.verb == "do":
            self.actions[step.rest]()
            return
        peer = self.peers[step.label]
        numbers = [float(word) for word in step.rest.split()] if step.verb in (
            "number", "expect", "wait", "elapsed"
        ) else []  # fmt: skip
        match step.verb:
            case ">":
                self._send(step, peer, self._composed(peer, step.rest))
            case ">>":
                self._send(step, peer, self._framed(peer, step.rest))
            case "knock":
                self._knock(step, peer)
            case "<":
                self._expect(step, peer)
            case "closed":
                left = self._next(peer)
                assert left is None, f"instead of closing it sent {left!r}"
            case "disconnect":
                assert peer.sock is not None
                peer.sock.close()
            case "number":
                peer.out = int(numbers[0])
            case "expect":
                peer.expected = int(numbers[0])
            case "wait":
                time.sleep(numbers[0])
            case "ignore":
                peer.ignored = set(step.rest.split())
            case "hold":
                peer.held = b""
            case "flush":
                assert peer.sock is not None and peer.held is not None
                peer.sock.sendall(peer.held)
                peer.held = None
            case "mark":
                self.marked = time.monotonic()
            case "elapsed":
                took = time.monotonic() - self.marked
                most = pace.seconds(numbers[1])
                assert numbers[0] <= took <= most, f"{took:.2f} s have passed"

    def _connect(self, step: Step) -> None:
        peer = self.peers.get(step.label)
        if peer is None:
            peer = self.peers[step.label] = Peer(step.rest or "CERT")
        peer.buffer = b""
        peer.sock = socket.create_connection(
            self.address, pace.seconds(TIMEOUT_S), source_address=(self.source, 0)
        )
        peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    # Sending.

    def _send(self, step: Step, peer: Peer, data: bytes) -> None:
        self.log.append(f"{step.label}> " + data.decode("latin-1").replace(SOH, "|"))
        assert peer.sock is not None, "not connected"
        if peer.held is None:
            peer.sock.sendall(data)
        else:
            peer.held += data

    def _knock(self, step: Step, peer: Peer) -> None:
        """Send something until it is heard: what came before may have swallowed it."""
        deadline = time.monotonic() + pace.seconds(TIMEOUT_S)
        while True:
            self._send(step, peer, self._composed(peer, step.rest))
            assert peer.sock is not None
            if select.select([peer.sock], [], [], KNOCK_EVERY_S)[0]:
                return
            assert time.monotonic() < deadline, "nothing came"

    def _composed(self, peer: Peer, rest: str) -> bytes:
        """A message from its MsgType and fields."""
        msg_type, *fields = self._filled(peer, rest).split("|")
        given: dict[str, str] = {}
        while fields and fields[0].partition("=")[0] in _STANDARD:
            tag, _, value = fields.pop(0).partition("=")
            given[tag] = value
        if "34" not in given:
            given["34"] = str(peer.out)
            peer.out += 1
        standard = {"49": peer.comp_id, "52": now_text(), "56": "TANDEM"} | given
        header = [f"{tag}={standard[tag]}" for tag in _STANDARD if standard[tag] != "!"]
        return framed(SOH.join([f"35={msg_type}", *header, *fields, ""]))

    def _framed(self, peer: Peer, rest: str) -> bytes:
        """A message as it stands, with BodyLength and CheckSum where it asks for them."""
        text = self._filled(peer, rest).replace("|", SOH)
        if "{length}" in text:
            body = text.partition("{length}" + SOH)[2].rpartition("10=")[0]
            text = text.replace("{length}", str(len(body)))
        if "{sum}" in text:
            head = text.rpartition("10=")[0]
            text = text.replace("{sum}", f"{sum(head.encode('latin-1')) % 256:03d}")
        return text.encode("latin-1")

    def _filled(self, peer: Peer, text: str) -> str:
        def fill(match: re.Match[str]) -> str:
            word = match[1]
            if word is None:
                return self.noted[match[2]]
            if word in ("length", "sum"):
                return match[0]
            if word == "take":
                peer.out += 1
                return str(peer.out - 1)
            if word == "login":
                firm = peer.comp_id.lower()
                return f"553={firm}|554={firm}-demo"
            if word.startswith("id "):
                return f"{word[3:]}.{self.run}"
            name, plus = re.fullmatch(r"(now|next|in)([+-]\d+)?", word).groups()  # type: ignore[union-attr]
            offset = int(plus or 0)
            if name == "now":
                return now_text(offset)
            return str((peer.out if name == "next" else peer.expected) + offset)

        return _WORD.sub(fill, text)

    # Receiving.

    def _next(self, peer: Peer) -> Fields | None:
        """The next message that is not passed over; None at the end of the stream."""
        deadline = time.monotonic() + pace.seconds(TIMEOUT_S)
        while True:
            message = peer.receive(deadline)
            if message is None or message.get("35") not in peer.ignored:
                return message
            self._check_header(message, peer, set())

    def _expect(self, step: Step, peer: Peer) -> None:
        message = self._next(peer)
        assert message is not None, "the connection was closed instead"
        self.log.append(f"{step.label}< {message!r}")
        msg_type, *wanted = step.rest.split("|")
        assert message.get("35") == msg_type, f"{message!r} came instead"
        stated = set()
        for item in wanted:
            tag, _, value = item.partition("=")
            stated.add(tag)
            self._match(message, tag, value, peer)
        self._check_header(message, peer, stated)

    def _match(self, message: Fields, tag: str, wanted: str, peer: Peer) -> None:
        found = message.get(tag)
        if wanted == "!":
            assert found is None, f"{tag} is there: {message!r}"
            return
        assert found is not None, f"{tag} is missing: {message!r}"
        if wanted == "*":
            return
        if wanted.startswith("~"):
            assert wanted[1:] in found, f"{tag} is {found!r}"
            return
        if re.fullmatch(r"\$[a-z]+", wanted) and wanted[1:] not in self.noted:
            self.noted[wanted[1:]] = found
            return
        value = self._filled(peer, wanted)
        assert found == value, f"{tag} is {found!r}, not {value!r}"

    def _check_header(self, message: Fields, peer: Peer, stated: set[str]) -> None:
        """CompIDs, time and number of every message."""
        assert (message.get("49"), message.get("56")) == ("TANDEM", peer.comp_id), message
        sent = message.get("52") or ""
        assert re.fullmatch(r"\d{8}-\d\d:\d\d:\d\d\.\d{6}", sent), f"SendingTime is {sent!r}"
        assert now_text(-CLOCK_WITHIN_S) <= sent <= now_text(CLOCK_WITHIN_S), sent
        number = int(message.get("34") or 0)
        again = message.get("43") == "Y"
        if "34" not in stated and not again:
            assert number == peer.expected, f"MsgSeqNum is {number}, not {peer.expected}"
        if message.get("35") == "4":
            peer.expected = max(peer.expected, int(message.get("36") or 0))
        elif not again:
            peer.expected = number + 1
