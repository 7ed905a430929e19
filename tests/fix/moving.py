"""Several gateways on one engine, and a client that moves between them and checks what it is told.

The client keeps its numbers as FIX has it: it asks for what it missed, answers a TestRequest only
when it has everything before it, and sends its orders again when it is asked for them.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from config.ports import free_ports
from engine.client import Transaction, queries
from engine.core.commands import Command, NewOrder
from engine.core.types import OrdType, Origin, SessionRow, Side, TimeInForce
from fix_gateway.codec.context import SessionContext
from fix_gateway.codec.routing import messages
from tests.fix.processes import Venue
from tests.fix.rawfix import Closed, Message, RawFix, encode, now_text
from tests.support import pace
from tests.support.fix_settings import session_settings
from tests.support.processes import Process
from tests.support.waiting import until

Cursor = tuple[int, int, int]
SILENCE_S = round(pace.seconds(3))
"""After so long the engine takes a frozen gateway for gone."""


class MovingVenue(Venue):
    """One engine and gateways by name, between which sessions move."""

    def __init__(self, folder: Path, terms: str) -> None:
        super().__init__(folder, {r"\[fix\]": f"[fix]\n{terms}"})
        self.gateways: dict[str, Process] = {}
        self.addresses: dict[str, tuple[str, int]] = {}
        self._desk = self.client()
        self._reports: dict[str, set[Cursor]] = {}
        self._read_to: dict[str, int] = {}

    def run(self, name: str) -> Process:
        """Run a gateway."""
        raise NotImplementedError

    def start_one(self, name: str) -> Process:
        """Start a gateway, or start it again."""
        gateway = self.run(name)
        gateway.wait_for("ready")
        self.gateways[name] = gateway
        return gateway

    def start_all(self) -> Self:
        self.start_engine()
        for name in self.addresses:
            self.start_one(name)
        return self

    def stop(self) -> None:
        for gateway in self.gateways.values():
            if gateway.popen.poll() is None:
                gateway.kill()
        super().stop()

    def last_seq(self) -> int:
        """The engine's last transaction."""
        return self._desk.fetch(queries.Status()).value.seq

    def submit(self, command: Command) -> None:
        """Have the engine do something; one client does it all, for an engine has room for 64."""
        self._desk.submit(command)

    def mend(self) -> None:
        """Start what was killed, and wait until nobody is logged on."""
        for name, gateway in self.gateways.items():
            if gateway.popen.poll() is not None:
                self.start_one(name)
        until(lambda: not any(row.connected for row in self._desk.fetch(queries.Sessions()).value))

    def row(self, comp_id: str = "ALICE") -> SessionRow:
        """What the engine remembers of a session."""
        found = self._desk.fetch(queries.Session(f"fix:{comp_id}")).value
        assert found is not None
        return found

    def reports(self, comp_id: str = "ALICE") -> set[Cursor]:
        """What a session is to be told of all that has happened, from the engine's record."""
        client = self._desk
        last = self.last_seq()
        instruments = {each.symbol: each for each in client.fetch(queries.Instruments()).value}
        context = SessionContext(session_settings(comp_id, comp_id.lower()), 0)
        found = self._reports.setdefault(comp_id, set())
        for seq in range(self._read_to.get(comp_id, 0) + 1, last + 1):
            transaction: Transaction = client.fetch(queries.Transaction(seq)).value
            for message in messages(transaction, context, instruments):
                found.add((seq, message.event_index, message.part))
        self._read_to[comp_id] = last
        return set(found)


class SharedVenue(MovingVenue):
    """Its gateways have a port and a configuration of their own, as on several machines."""

    def __init__(self, folder: Path, names: str = "AB") -> None:
        super().__init__(folder, f"shared = true\nsilence_s = {SILENCE_S}")
        text = self.config.read_text(encoding="utf-8")
        self._environments: dict[str, dict[str, str]] = {}
        for name in names:
            port = free_ports(1)[0]
            config = folder / f"gateway-{name}.toml"
            own = re.sub(r"\nport = \d+\ncomp_id", f"\nport = {port}\ncomp_id", text)
            socket = self.data / "engine.sock"
            own += f'\n[engine]\nsocket = "{socket}"\n'
            config.write_text(own, encoding="utf-8")
            self.addresses[name] = ("127.0.0.1", port)
            self._environments[name] = {
                "TANDEM_CONFIG": str(config), "TANDEM_DATA": str(folder / f"data-{name}"),
            }  # fmt: skip

    def run(self, name: str) -> Process:
        return Process("fix_gateway.main", self._environments[name])

    def store(self, name: str) -> Path:
        """The folder of a gateway's store."""
        return Path(self._environments[name]["TANDEM_DATA"]) / "fix" / "store"

    def control(self, name: str) -> Path:
        """The control socket of a gateway."""
        return Path(self._environments[name]["TANDEM_DATA"]) / "control" / "fix.sock"


class OneDoorVenue(MovingVenue):
    """Two gateways of one machine behind one port: 1 (fix) and 2 (fix2)."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "gateways = 2")
        found = re.search(r"\nport = (\d+)\ncomp_id", self.config.read_text(encoding="utf-8"))
        assert found is not None
        self.addresses = dict.fromkeys("12", ("127.0.0.1", int(found[1])))

    def run(self, name: str) -> Process:
        return Process("fix_gateway.main", self.environment, *([] if name == "1" else ["fix2"]))

    def at(self, comp_id: str) -> str:
        """The gateway that holds a session."""
        holders = {
            (self.data / "fix" / store / "holder").read_text(encoding="ascii").strip(): name
            for name, store in (("1", "store"), ("2", "store2"))
        }
        return holders[self.row(comp_id).holder]


class Mover:
    """A client that goes on where it was, at whatever gateway. ``expected`` is the next number.

    It begins with numbers of its own, and is concerned with what happens from then on.
    """

    def __init__(self, venue: MovingVenue, comp_id: str = "ALICE") -> None:
        self.venue = venue
        self.comp_id = comp_id
        self.num = 1
        self.expected = 1
        self.told: dict[Cursor, str] = {}
        self.repeated = 0
        self.flagged = 0
        """Reports that came with PossResend(97)=Y."""
        self.filled = 0
        """Numbers that were gap-filled."""
        self.orders = 0
        self.raw: RawFix | None = None
        self._sent: dict[int, str] = {}
        self._asked = 0
        self._since = venue.last_seq()
        self._prefix = f"m{self._since}-"

    def begin(self, name: str) -> None:
        """Log on for the first time."""
        self.logon(name, reset=True)

    def logon(self, name: str, *, reset: bool = False, timeout: float = 10.0) -> Message:
        """Log on at a gateway; raises Closed where it does not let us in."""
        if reset:
            self.num = self.expected = 1
            self._sent.clear()
        raw = RawFix(self.venue.addresses[name], self.comp_id, num=self.num)
        raw.answer_tests = raw.fill_gaps = False
        self._asked = 0
        try:
            raw.send("A", raw.logon_fields(reset=reset))
            answer = raw.receive(timeout)
        except (Closed, TimeoutError):
            raw.close()
            raise
        assert answer["35"] == "A", repr(answer)
        self.raw, self.num = raw, raw.num
        if answer.get("141") == "Y" and not reset:
            self.num, self.expected = 2, 1
            raw.num = 2
            self._sent.clear()
        self._take(answer)
        return answer

    def logon_again(self, name: str, timeout: float = 20.0) -> Message:
        """Log on as soon as the gateway lets us in."""
        deadline = time.monotonic() + pace.seconds(timeout)
        while True:
            try:
                return self.logon(name)
            except (Closed, ConnectionError):
                if time.monotonic() > deadline:
                    raise

    def order(self, price: str = "10", side: int = 1) -> None:
        """Enter an order and do not wait."""
        assert self.raw is not None
        self.orders += 1
        body = self.raw.order_fields(f"{self._prefix}{self.orders}", side=side, price=price)
        self._sent[self.num] = body
        self._send("D", body)

    def _send(self, msg_type: str, body: str) -> None:
        assert self.raw is not None
        self.num += 1
        self.raw.send(msg_type, body)

    def leave(self) -> None:
        """End the connection without a word."""
        if self.raw is not None:
            self.raw.close()
            self.raw = None

    def logout(self) -> None:
        """Log out and read to the end."""
        assert self.raw is not None
        self._send("5", "")
        try:
            while True:
                self._take(self.raw.receive())
        except (Closed, ConnectionError):
            self.leave()  # It may have been asked for something meanwhile, and is again.

    def read_until_logout(self, timeout: float = 10.0) -> None:
        """Read until the gateway logs us out, and go."""
        assert self.raw is not None
        deadline = time.monotonic() + pace.seconds(timeout)
        kind = ""
        while kind != "5":
            message = self.raw.receive(max(0.01, deadline - time.monotonic()))
            self._take(message)
            kind = message["35"]
        self.leave()

    def read_all(self, timeout: float = 20.0) -> None:
        """Read until the engine has every order that was sent, and all that it says was told."""
        assert self.raw is not None
        deadline = time.monotonic() + pace.seconds(timeout)
        last = max(self._sent, default=0)
        while self.venue.row(self.comp_id).last_num_applied < last:
            assert time.monotonic() < deadline, f"the engine never saw message {last}"
            self._read_some(0.05)
        cursors = self.due()
        while not cursors <= self.told.keys():
            missing = sorted(cursors - self.told.keys())
            assert time.monotonic() < deadline, f"not told: {missing[:10]} of {len(missing)}"
            self._read_some(1.0)

    def _read_some(self, seconds: float) -> None:
        assert self.raw is not None
        try:
            self._take(self.raw.receive(seconds))
        except TimeoutError:
            pass  # Nothing came meanwhile.

    def read_in_all(self, count: int, timeout: float = 20.0) -> None:
        """Read until so many reports in all have been told."""
        assert self.raw is not None
        deadline = time.monotonic() + pace.seconds(timeout)
        while len(self.told) < count:
            self._take(self.raw.receive(max(0.01, deadline - time.monotonic())))

    def _take(self, message: Message) -> None:
        number, kind = int(message["34"]), message["35"]
        assert self.raw is not None
        if kind == "4" and message.get("123") != "Y":
            raise AssertionError(f"the numbers were reset: {message!r}")
        if number > self.expected:
            if self._asked <= self.expected:
                self._asked = number + 1
                self._send("2", f"7={self.expected}|16=0|")
            if kind == "2":
                self._again(int(message["7"]))
            return
        if number < self.expected:
            assert message.get("43") == "Y", f"{self.expected} was expected: {message!r}"
            return
        if kind == "4":
            self.filled += int(message["36"]) - self.expected
            self.expected = int(message["36"])
            return
        self.expected += 1
        cursor = message.cursor
        if cursor is not None and cursor[0] > self._since:
            if cursor in self.told:
                assert message.get("97") == "Y", f"told twice: {message!r}"
                assert self.told[cursor] == message.get("17", ""), "another ExecID"
                self.repeated += 1
            self.flagged += message.get("97") == "Y"
            self.told[cursor] = message.get("17", "")
        if kind == "1":
            self._send("0", f"112={message['112']}|")
        elif kind == "2":
            self._again(int(message["7"]))

    def _again(self, begin: int) -> None:
        """Send orders again from a number on, and fill over everything else."""
        assert self.raw is not None
        start = begin
        for number in range(begin, self.num):
            body = self._sent.get(number)
            if body is None:
                continue
            if start < number:
                self.raw.send("4", f"123=Y|36={number}|", num=start, extra="43=Y|")
            extra = f"43=Y|122={now_text(-0.1)}|"
            self.raw.send_raw(encode(self.raw.header("D", num=number, extra=extra) + body))
            start = number + 1
        if start < self.num:
            self.raw.send("4", f"123=Y|36={self.num}|", num=start, extra="43=Y|")

    def due(self) -> set[Cursor]:
        """Return what it is to be told."""
        return {each for each in self.venue.reports(self.comp_id) if each[0] > self._since}

    def check(self) -> None:
        """All that is true was told, nothing else was, and ExecIDs are unique."""
        assert set(self.told) == self.due()
        ids = [each for each in self.told.values() if each not in ("", "0")]
        assert len(ids) == len(set(ids))


def hit(venue: SharedVenue, name: str, qty: int = 1000) -> None:
    """Bob sells to whoever bids 10 or more."""
    venue.submit(
        NewOrder(
            Origin("api:bob"), "bob", name, "BTC-USD", Side.SELL, OrdType.LIMIT,
            TimeInForce.IOC, qty, price=1000,
        )
    )  # fmt: skip


def closed(venue: SharedVenue) -> None:
    """Wait until the engine has closed the session."""
    until(lambda: not venue.row().connected)


def move_at_random(
    venue: SharedVenue, alice: Mover, moves: int, seed: int,
    say: Callable[[str], None] = lambda text: None,
) -> int:  # fmt: skip
    """Move a client with its orders, killing and restarting gateways; check what it is told.

    Return how many gateways were killed.
    """
    dice = random.Random(seed)
    names, killed = list(venue.addresses), 0
    alice.begin(names[0])
    alice.leave()
    for move in range(moves):
        name = dice.choice(names)
        alice.logon_again(name)
        for _ in range(dice.randint(0, 40)):
            alice.order()
        if dice.random() < 0.5:
            hit(venue, f"hit-{seed}-{move}", dice.randint(1, 5) * 1000)
        if dice.random() < 0.5:
            alice.read_all()
        way = dice.random()
        if way < 0.3:
            venue.gateways[name].kill()
            killed += 1
            alice.leave()
        elif way < 0.7:
            alice.leave()
        else:
            alice.logout()
        closed(venue)
        hit(venue, f"gone-{seed}-{move}")
        if venue.gateways[name].popen.poll() is not None:
            venue.start_one(name)
        say(f"{move + 1} of {moves} moves")
    alice.logon_again(dice.choice(names))
    alice.order()
    alice.read_all()
    alice.check()
    return killed
