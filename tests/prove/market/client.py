"""A client of market data as a firm has one: QuickFIX, with QuickFIX's own FIX44.xml."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import quickfix

from fix_gateway.codec.message import SOH, FixMessage
from tests.support import pace

STOCK: Final = Path(sys.prefix) / "share" / "quickfix" / "FIX44.xml"
LOGON_S: Final = 20.0


class StockClient(quickfix.Application):  # type: ignore[misc]
    """One session. ``received`` are the application messages, in the order in which they came.

    ``faults`` are what should not happen: messages that QuickFIX or we reject, Logouts.
    """

    def __init__(
        self, port: int, comp_id: str, username: str, password: str, *, receive_bytes: int = 0
    ) -> None:
        super().__init__()
        self.comp_id = comp_id
        self.received: list[str] = []
        self.faults: list[str] = []
        self.logons = 0
        self.online = False
        self._news = threading.Condition()
        self._may_read = threading.Event()
        self._may_read.set()
        self._ending = False
        self._username, self._password = username, password
        self._session = quickfix.SessionID("FIX.4.4", comp_id, "TANDEM")
        values = {
            "ConnectionType": "initiator", "HeartBtInt": "10", "ReconnectInterval": "1",
            "SocketConnectHost": "127.0.0.1", "SocketConnectPort": str(port),
            "NonStopSession": "Y", "ResetOnLogon": "Y", "TimestampPrecision": "6",
            "DataDictionary": str(STOCK), "ValidateUserDefinedFields": "N",
        }  # fmt: skip
        if receive_bytes:
            values["SocketReceiveBufferSize"] = str(receive_bytes)
        table = quickfix.Dictionary()
        for key, value in values.items():
            table.setString(key, value)
        self._settings = quickfix.SessionSettings()
        self._settings.set(self._session, table)
        self._dictionary = quickfix.DataDictionary(str(STOCK))
        self._dictionary.checkUserDefinedFields(False)
        self._factory = quickfix.MemoryStoreFactory()
        self._initiator = quickfix.SocketInitiator(self, self._factory, self._settings)

    def start(self) -> StockClient:
        """Log on, and wait until the venue has answered."""
        self._initiator.start()
        self.until(lambda: self.online, f"{self.comp_id} is not logged on", LOGON_S)
        return self

    def stop(self) -> None:
        """Log out."""
        self._ending = True
        self._may_read.set()
        self._initiator.stop()

    def send(self, msg_type: str, body: str) -> None:
        """Send a message whose fields are written with bars: ``262=r1|263=1|``."""
        text = f"8=FIX.4.4|9=0|35={msg_type}|{body}10=000|".replace("|", SOH)
        message = quickfix.Message(text, self._dictionary, False)
        quickfix.Session.sendToTarget(message, self._session)

    def subscribe(
        self, request_id: str, symbols: Iterable[str], kinds: Iterable[str] = "01", *,
        kind: str = "1", depth: int = 0, incremental: bool = True, aggregated: bool = True,
    ) -> None:  # fmt: skip
        """Send a MarketDataRequest(V) of SubscriptionRequestType(263) ``kind``."""
        kinds, symbols = list(kinds), list(symbols)
        update = f"265={int(incremental)}|" if kind == "1" else ""
        types = "".join(f"269={each}|" for each in kinds)
        names = "".join(f"55={each}|" for each in symbols)
        self.send(
            "V",
            f"262={request_id}|263={kind}|264={depth}|{update}266={'NY'[aggregated]}|"
            f"267={len(kinds)}|{types}146={len(symbols)}|{names}",
        )  # fmt: skip

    def unsubscribe(self, request_id: str) -> None:
        """End a subscription; 263=2 needs the fields that V needs."""
        self.send("V", f"262={request_id}|263=2|264=0|267=1|269=0|146=1|55=BTC-USD|")

    def snapshot(self, request_id: str, symbol: str) -> FixMessage:
        """Ask for a book as it is now, and wait for it."""
        begin = len(self.received)
        self.subscribe(request_id, [symbol], kind="0")
        wanted = f"{SOH}262={request_id}{SOH}"

        def found() -> str | None:
            return next((text for text in self.received[begin:] if wanted in text), None)

        text = self.until(found, f"{self.comp_id} has no answer to {request_id}")
        assert isinstance(text, str)
        return FixMessage(text)

    def pause(self) -> None:
        """Read nothing until ``go_on``."""
        self._may_read.clear()

    def go_on(self) -> None:
        """Read again."""
        self._may_read.set()

    def until(self, question: object, what: str, seconds: float = 20.0) -> object:
        """Wait for news until a question has an answer. Raises AssertionError."""
        assert callable(question)
        deadline = time.monotonic() + pace.seconds(seconds)
        with self._news:
            while not (answer := question()):
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"{what}; faults {self.faults}; {self.received[-1:]}")
                self._news.wait(min(left, 1.0))
            return answer

    # QuickFIX's callbacks.

    def onCreate(self, session_id: quickfix.SessionID) -> None:
        """QuickFIX has made the session."""

    def onLogon(self, session_id: quickfix.SessionID) -> None:
        with self._news:
            self.online = True
            self.logons += 1
            self._news.notify_all()

    def onLogout(self, session_id: quickfix.SessionID) -> None:
        with self._news:
            self.online = False
            if not self._ending:
                self.faults.append("logged out")
            self._news.notify_all()

    def toAdmin(self, message: quickfix.Message, session_id: quickfix.SessionID) -> None:
        msg_type = message.getHeader().getField(35)
        if msg_type == "A":
            message.setField(553, self._username)
            message.setField(554, self._password)
        elif msg_type in ("3", "2"):
            self.faults.append(f"the client says {message.toString()!r}")

    def fromAdmin(self, message: quickfix.Message, session_id: quickfix.SessionID) -> None:
        if message.getHeader().getField(35) in ("3", "5") and not self._ending:
            self.faults.append(f"the venue says {message.toString()!r}")

    def toApp(self, message: quickfix.Message, session_id: quickfix.SessionID) -> None:
        """Nothing is added to what is sent."""

    def fromApp(self, message: quickfix.Message, session_id: quickfix.SessionID) -> None:
        self._may_read.wait()
        with self._news:
            self.received.append(message.toString())
            self._news.notify_all()
