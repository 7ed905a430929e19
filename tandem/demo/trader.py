"""A trading firm: a QuickFIX initiator that queues the messages it receives."""

from __future__ import annotations

import queue
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import quickfix

from config.shipped import shipped
from tandem.output import CommandError

WAIT_S: Final = 20.0
DICTIONARY: Final = shipped("spec/FIX44.xml")
SOH: Final = "\x01"


class Report(dict[int, str]):
    """A FIX message as tag → value; the last value of a tag that is repeated."""

    @property
    def seq(self) -> int:
        """Return EngineSeq(20001), the engine's sequence number."""
        return int(self[20001])


def parse(text: str) -> Report:
    """Split a FIX message."""
    report = Report()
    for part in text.split(SOH):
        tag, _, value = part.partition("=")
        if tag.isdigit():
            report[int(tag)] = value
    return report


class Trader(quickfix.Application):  # type: ignore[misc]
    """One session of a firm. ``cancel_on_disconnect`` is sent in the Logon (20003)."""

    def __init__(self, firm: str, port: int, folder: Path, cancel_on_disconnect: int) -> None:
        super().__init__()
        self.firm = firm
        self._cancel_on_disconnect = cancel_on_disconnect
        self._inbox: queue.SimpleQueue[Report] = queue.SimpleQueue()
        self._changed = threading.Condition()
        self._logons = 0
        self._online = False
        self._session = quickfix.SessionID("FIX.4.4", firm.upper(), "TANDEM")
        path = folder / f"{firm}.cfg"
        path.write_text(_settings(firm, port, folder), encoding="utf-8")
        settings = quickfix.SessionSettings(str(path))
        self._store = quickfix.FileStoreFactory(settings)
        self._initiator = quickfix.SocketInitiator(self, self._store, settings)

    def onCreate(self, session: Any) -> None:  # noqa: N802
        """Do nothing when QuickFIX has created the session."""

    def onLogon(self, session: Any) -> None:  # noqa: N802
        """Record that the venue has accepted the Logon."""
        with self._changed:
            self._logons += 1
            self._online = True
            self._changed.notify_all()

    def onLogout(self, session: Any) -> None:  # noqa: N802
        """Record that the session has ended."""
        with self._changed:
            self._online = False
            self._changed.notify_all()

    def toAdmin(self, message: Any, session: Any) -> None:  # noqa: N802
        """Add the credentials to the Logon."""
        if message.getHeader().getField(35) == "A":
            message.setField(553, self.firm)
            message.setField(554, f"{self.firm}-demo")
            if self._cancel_on_disconnect:
                message.setField(20003, str(self._cancel_on_disconnect))

    def fromAdmin(self, message: Any, session: Any) -> None:  # noqa: N802
        """Queue session-level rejects, which no step expects."""
        if message.getHeader().getField(35) == "3":
            self._inbox.put(parse(message.toString()))

    def toApp(self, message: Any, session: Any) -> None:  # noqa: N802
        """Send application messages unchanged."""

    def fromApp(self, message: Any, session: Any) -> None:  # noqa: N802
        """Queue a message of the venue."""
        self._inbox.put(parse(message.toString()))

    def log_on(self) -> None:
        """Connect and wait until the session is up."""
        self._initiator.start()
        self._wait(lambda: self._online, "is not logged on")

    def drop(self) -> None:
        """Disconnect without a Logout, then wait until QuickFIX has logged on again."""
        with self._changed:
            before = self._logons
        quickfix.Session.lookupSession(self._session).disconnect()
        self._wait(lambda: self._logons > before and self._online, "is not back")

    def stop(self) -> None:
        """Log out and end the threads."""
        self._initiator.stop()

    def _wait(self, condition: Any, what: str) -> None:
        with self._changed:
            if not self._changed.wait_for(condition, WAIT_S):
                raise CommandError(f"{self.firm} {what} after {WAIT_S:.0f} s")

    def order(self, name: str, symbol: str, side: str, qty: str, price: str, **more: str) -> None:
        """Send NewOrderSingle(D), limit, GTC unless ``tif`` says otherwise."""
        self._send("D", {
            11: name, 55: symbol, 54: _SIDES[side], 60: _now(), 38: qty, 40: "2", 44: price,
            59: more.get("tif", "1"),
        })  # fmt: skip

    def replace(self, name: str, orig: str, symbol: str, side: str, qty: str, price: str) -> None:
        """Send OrderCancelReplaceRequest(G)."""
        self._send("G", {
            11: name, 41: orig, 55: symbol, 54: _SIDES[side], 60: _now(), 38: qty, 40: "2",
            44: price, 59: "1",
        })  # fmt: skip

    def cancel(self, name: str, orig: str, symbol: str, side: str) -> None:
        """Send OrderCancelRequest(F)."""
        self._send("F", {11: name, 41: orig, 55: symbol, 54: _SIDES[side], 60: _now()})

    def mass_cancel(self, name: str) -> None:
        """Send OrderMassCancelRequest(q) for everything (530=7)."""
        self._send("q", {11: name, 530: "7", 60: _now()})

    def next(self) -> Report:
        """Return the next message of the venue."""
        try:
            return self._inbox.get(timeout=WAIT_S)
        except queue.Empty:
            raise CommandError(f"{self.firm} received nothing for {WAIT_S:.0f} s") from None

    def silent(self) -> bool:
        """Return whether every message received has been taken by ``next``."""
        return self._inbox.empty()

    def _send(self, kind: str, fields: dict[int, str]) -> None:
        message = quickfix.Message()
        message.getHeader().setField(8, "FIX.4.4")
        message.getHeader().setField(35, kind)
        for tag, value in fields.items():
            message.setField(tag, value)
        quickfix.Session.sendToTarget(message, self._session)


_SIDES: Final = {"buy": "1", "sell": "2"}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y%m%d-%H:%M:%S.%f")[:-3]


def _settings(firm: str, port: int, folder: Path) -> str:
    return f"""[DEFAULT]
ConnectionType=initiator
StartTime=00:00:00
EndTime=00:00:00
NonStopSession=Y
ReconnectInterval=1
HeartBtInt=30
FileStorePath={folder / firm}
UseDataDictionary=Y
DataDictionary={DICTIONARY}
SocketConnectHost=127.0.0.1
SocketConnectPort={port}

[SESSION]
BeginString=FIX.4.4
SenderCompID={firm.upper()}
TargetCompID=TANDEM
"""
