"""A FIX client that forgets nothing: it resumes with 141=N, asks for gaps, and is asked.

It keeps every message that it sent, so that it can send it again, and every message that it
received under its number. A number that comes twice must bring the same message; one that is
left out is asked for. Nothing else makes it believe that it has heard all there was.
"""

from __future__ import annotations

import random
import socket
import time
from typing import ClassVar, Final

from tests.fix.rawfix import SOH, Message, encode, first_whole, now_text
from tests.prove.crash.told import Client, Told

HEARTBEAT_S: Final = 5
PROBE_S: Final = 1.0
PACE_S: Final = 0.02
TURN_S: Final = 0.02
WINDOW: Final = 4
PROVOKES: Final = 0.01
"""Share of requests in whose place a Logon is sent within the session."""
INACCURATE: Final = "10"
"""SessionRejectReason(373) of a SendingTime that is too far from the venue's clock."""
_ENVELOPE: Final = frozenset(("8", "9", "35", "34", "49", "52", "56", "43", "122", "97", "10"))


def fields_of(text: str) -> list[str]:
    """What a message says, without its envelope; QuickFIX orders fields by their tags."""
    fields = text.rstrip(SOH).split(SOH)
    return sorted(field for field in fields if field.partition("=")[0] not in _ENVELOPE)


class FixClient(Client):
    """One session: sends orders, cancels and replaces, a few at a time."""

    inaccurate_ends: ClassVar[bool] = False
    """The venue's clock may be wrong: it says so of ours, and ends the connection."""

    def __init__(
        self, address: tuple[str, int], comp_id: str, told: Told, seed: int, *,
        logon: str = "", accounts: tuple[str, ...] = ("",), password: str = "",
    ) -> None:  # fmt: skip
        super().__init__(comp_id, told)
        self.address = address
        self._more = logon
        self._accounts = accounts
        self._password = password or f"{comp_id.lower()}-demo"
        self.comp_id = comp_id
        self.random = random.Random(f"{comp_id} {seed}")
        self.next_out = 1
        self.next_in = 1
        self.sent: dict[int, tuple[str, str, str]] = {}
        """By number: type, fields and SendingTime of every application message."""
        self.received: dict[int, Message] = {}
        """By number, every application message of the venue."""
        self.waiting: dict[str, float] = {}
        """Ids of requests that are not answered."""
        self.open: dict[str, tuple[int, str]] = {}
        """Side and symbol of orders that may be open, by ClOrdID."""
        self.logons = 0
        self.resent = 0
        self.provoked = 0
        """How many Logons were sent within a session."""
        self.last_end = ""
        self.refused_since = 0.0
        """When the first of the attempts in a row was made that met no listener; 0 if none."""
        self._ids = 0
        self._socket: socket.socket | None = None
        self._buffer = b""
        self._asked_from = 0
        self._heard = self._spoke = 0.0
        self._connected_at = 0.0
        self._probe = ""
        self._probed = self._requested = 0.0

    @property
    def busy(self) -> bool:
        return bool(self.waiting) or self._probe != "heard"

    def state(self) -> str:
        """Numbers and what waits."""
        return (
            f"{self.comp_id}: next out {self.next_out}, next in {self.next_in}, {self.logons} "
            f"logons, {self.reconnects} reconnects, probe {self._probe!r}, waits for "
            f"{list(self.waiting)}, {self._standing()}"
        )

    def _standing(self) -> str:
        """Whether there is a connection, and how the last one or attempt ended."""
        now = time.monotonic()
        if self.refused_since:
            return f"its port has refused for {now - self.refused_since:.1f} s"
        if self._connected_at:
            return (
                f"connected for {now - self._connected_at:.1f} s, heard last "
                f"{now - self._heard:.1f} s ago; before, ended by {self.last_end}"
            )
        return f"not connected; ended last by {self.last_end}"

    # One connection.

    def life(self) -> None:
        try:
            with socket.create_connection(self.address, 5) as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._socket, self._buffer, self._asked_from = connection, b"", 0
                self._probe, self.refused_since = "", 0.0
                self._connected_at = time.monotonic()
                self._logon()
                while not self.over.is_set():
                    self._turn()
        except ConnectionRefusedError as error:
            self.refused_since = self.refused_since or time.monotonic()
            self.last_end = repr(error)
        except OSError as error:
            self.last_end = repr(error)  # The next life goes on with the same numbers.
            self.story.note(f"-- {self.last_end}")
        finally:
            self._connected_at = 0.0

    def _logon(self) -> None:
        user = f"553={self.comp_id.lower()}|554={self._password}|"
        fields = f"98=0|108={HEARTBEAT_S}|141=N|{user}{self._more}"
        self._admin("A", fields)
        deadline = time.monotonic() + 10
        before = self.logons
        while self.logons == before:
            self._receive(deadline - time.monotonic())

    def _turn(self) -> None:
        """Receive for a moment; heartbeat; send what is to be sent."""
        now = time.monotonic()
        if now - self._heard > 3 * HEARTBEAT_S:
            raise ConnectionError("the venue is silent")
        if now - self._spoke > HEARTBEAT_S:
            self._admin("0", "")
        if not self.told.ending.is_set():
            if len(self.waiting) < WINDOW and now - self._requested > PACE_S:
                self._requested = now
                if self.random.random() < PROVOKES:
                    self._logon_within()
                else:
                    self._request()
        elif not self.waiting and self._probe != "heard" and now - self._probed > PROBE_S:
            # Its answer in turn proves that no gap is left; one behind a gap does not count.
            self._probed, self._probe = now, f"end-{self.next_out}"
            self._admin("1", f"112={self._probe}|")
        try:
            self._receive(TURN_S)
        except TimeoutError:
            pass  # Nothing came in this turn.

    # Out.

    def _send(self, msg_type: str, fields: str, num: int, extra: str = "") -> None:
        assert self._socket is not None
        self._spoke = time.monotonic()
        header = f"35={msg_type}|34={num}|49={self.comp_id}|52={now_text()}|56=TANDEM|{extra}"
        self.story.note(f"> {header}{fields}")
        self._socket.sendall(encode(header + fields))

    def _admin(self, msg_type: str, fields: str) -> None:
        self.next_out += 1
        self._send(msg_type, fields, self.next_out - 1)

    def _request(self) -> None:
        """Begin something: mostly an order, else a change of one."""
        pick = self.random
        self._ids += 1
        name = f"{self.comp_id}-{self._ids}"
        stamp = f"60={now_text()}|"
        self.waiting[name] = time.monotonic()
        kind = pick.random()
        if self.open and kind < 0.35:
            known = pick.choice(list(self.open))
            side, symbol = self.open[known]
            find = f"11={name}|41={known}|55={symbol}|54={side}|{stamp}"
            if kind < 0.2:
                self._application("F", find)
            else:
                self._application("G", f"{find}40=2|38=0.{pick.randint(1, 9)}|")
        elif kind < 0.37:
            self.told.begun()
            self._application("q", f"11={name}|530=7|{stamp}")
        elif kind < 0.40:
            self._sweep(name, stamp)
        else:
            symbol, price = pick.choice((("BTC-USD", 100), ("ETH-USD", 20)))
            side, tif = pick.randint(1, 2), pick.choice("1113")
            if tif == "1":
                self.open[name] = side, symbol
            # Near the middle, where they trade, or away from it, where they pile up.
            away = pick.randint(-3, 3) if pick.random() < 0.7 else (9, 0, -9)[side]
            terms = f"38=0.{pick.randint(1, 9)}|40=2|44={price + away}|59={tif}|"
            account = pick.choice(self._accounts)
            terms += f"1={account}|" if account else ""
            self._application("D", f"11={name}|55={symbol}|54={side}|{stamp}{terms}")
        while len(self.open) > 40:
            del self.open[next(iter(self.open))]

    def _sweep(self, name: str, stamp: str) -> None:
        """Trade with all that rests on a side, which is more than one command may do."""
        side, price = self.random.choice(((1, 1000), (2, 1)))
        self.told.begun()
        terms = f"38=200|40=2|44={price}|59=3|"
        self._application("D", f"11={name}|55=BTC-USD|54={side}|{stamp}{terms}")

    def _logon_within(self) -> None:
        """A Logon amid everything: it ends the connection and may change nothing else.

        With a wrong password or the right one, to begin numbers again or not, sent now or long
        ago; never all of it right, since this client's numbers must go on (``resetclient.py``).
        """
        pick = self.random
        self.provoked += 1
        password = pick.choice((self._password, "wrong"))
        reset, age = pick.choice(("Y", "N")), pick.choice((0.0, -600.0))
        num = 1 if reset == "Y" and pick.random() < 0.5 else self.next_out
        if num == 1 and password == self._password:
            age = -600.0
        self.next_out += num == self.next_out
        user = f"553={self.comp_id.lower()}|554={password}|"
        head = f"35=A|34={num}|49={self.comp_id}|52={now_text(age)}|56=TANDEM|"
        self.story.note(f"> within: {head}141={reset}, password {password == self._password}")
        assert self._socket is not None
        self._socket.sendall(encode(f"{head}98=0|108={HEARTBEAT_S}|141={reset}|{user}{self._more}"))

    def _application(self, msg_type: str, fields: str) -> None:
        num = self.next_out
        self.next_out += 1
        # As a careful client does: first remember it, then send it.
        self.sent[num] = msg_type, fields, now_text()
        self._send(msg_type, fields, num)

    def _resend(self, begin: int, end: int) -> None:
        """Send again what was asked for; administrative messages are filled over."""
        end = end or self.next_out - 1
        num = begin
        while num <= end:
            again = self.sent.get(num)
            if again is not None:
                msg_type, fields, stamp = again
                self._send(msg_type, fields, num, f"43=Y|122={stamp}|")
                self.resent += 1
                num += 1
                continue
            after = num + 1
            while after <= end and after not in self.sent:
                after += 1
            self._send("4", f"123=Y|36={after}|", num, "43=Y|")
            num = after

    # In.

    def _receive(self, timeout_s: float) -> None:
        """Take one message. Raises TimeoutError, or ConnectionError at the end."""
        assert self._socket is not None
        while not (whole := first_whole(self._buffer))[0]:
            self._socket.settimeout(max(0.01, timeout_s))
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionError("end of stream")
            self._buffer += data
        raw, self._buffer = whole
        self._heard = time.monotonic()
        self._take(Message(raw))

    def _take(self, message: Message) -> None:
        kind, num = message["35"], int(message["34"])
        self.story.note(f"< {message!r}")
        if kind == "A":
            self.logons += 1
        if kind == "2":
            self._resend(int(message["7"]), int(message["16"]))
        if num > self.next_in:
            self._ask(num)
            return
        if kind == "4" and message.get("123") == "Y":
            if num == self.next_in:
                self.next_in = int(message["36"])
            return
        if num < self.next_in:
            self._again(num, message)
            return
        self.next_in += 1
        if kind == "1":
            self._admin("0", f"112={message['112']}|")
        elif kind == "0" and message.get("112") == self._probe and self._probe:
            self._probe = "heard"
        elif kind == "3" and self.provoked and message.get("372") == "A":
            pass  # The Logout that follows ends the connection.
        elif kind == "3" and self.inaccurate_ends and message.get("373") == INACCURATE:
            pass  # Its clock is wrong, and the Logout that follows ends the connection.
        elif kind == "3":
            self.told.found(f"{self.comp_id}: Reject: {message!r}")
        elif kind == "5":
            raise ConnectionError("logged out")
        elif kind not in "A012345":
            self.received[num] = message
            self._answered(message)

    def _ask(self, num: int) -> None:
        """A gap: ask for what is missing, once for each place where it begins."""
        if self._asked_from != self.next_in:
            self._asked_from = self.next_in
            self._admin("2", f"7={self.next_in}|16=0|")

    def _again(self, num: int, message: Message) -> None:
        """A number that was there before must be marked, and say the same."""
        before = self.received.get(num)
        if message.get("43") != "Y":
            self.told.found(f"{self.comp_id}: MsgSeqNum {num} came again: {message!r}")
        elif before is not None and fields_of(before.text) != fields_of(message.text):
            self.told.found(f"{self.comp_id}: {num} was {before!r} and is now {message!r}")

    def _answered(self, message: Message) -> None:
        self.told.progress("FIX")
        self.waiting.pop(message.get("11", message.get("379", "")), None)
        if message["35"] == "8" and message.get("39") in ("2", "4", "8", "C"):
            self.open.pop(message.get("11", ""), None)
            self.open.pop(message.get("41", ""), None)
