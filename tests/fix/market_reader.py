"""A market data client with QuickFIX's own initiator and QuickFIX's own FIX44.xml, as a program.

``python -m tests.fix.market_reader PORT COMP_ID FOLDER``: each line on standard input is a message
to send, from its MsgType on, with ``|`` for SOH; each line on standard output is one event as JSON.
Nothing of ours but the port and the credentials is known to it.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

import quickfix

SOH = "\x01"
STOCK = Path(sys.prefix) / "share" / "quickfix" / "FIX44.xml"


class Reader(quickfix.Application):  # type: ignore[misc]
    """Says what comes in, and what QuickFIX refuses of it."""

    def __init__(self, username: str) -> None:
        super().__init__()
        self._username = username
        self._lock = threading.Lock()

    def say(self, event: str, message: quickfix.Message | None = None) -> None:
        text = "" if message is None else message.toString().replace(SOH, "|")
        with self._lock:
            print(json.dumps({"event": event, "text": text}), flush=True)

    def onCreate(self, session_id: quickfix.SessionID) -> None: ...

    def onLogon(self, session_id: quickfix.SessionID) -> None:
        self.say("logon")

    def onLogout(self, session_id: quickfix.SessionID) -> None:
        self.say("logout")

    def toAdmin(self, message: quickfix.Message, session_id: quickfix.SessionID) -> None:
        msg_type = message.getHeader().getField(35)
        if msg_type == "A":
            message.setField(553, self._username)
            message.setField(554, f"{self._username}-demo")
        elif msg_type in ("3", "5"):
            self.say("refuses" if msg_type == "3" else "logs out", message)

    def toApp(self, message: quickfix.Message, session_id: quickfix.SessionID) -> None: ...

    def fromAdmin(self, message: quickfix.Message, session_id: quickfix.SessionID) -> None:
        if message.getHeader().getField(35) in ("3", "5"):
            self.say("admin", message)

    def fromApp(self, message: quickfix.Message, session_id: quickfix.SessionID) -> None:
        self.say("app", message)


def main(port: str, comp_id: str, folder: str) -> None:
    """Connect, and send what is told until standard input ends."""
    values = {
        "ConnectionType": "initiator", "HeartBtInt": "5", "ReconnectInterval": "1",
        "SocketConnectHost": "127.0.0.1", "SocketConnectPort": port, "NonStopSession": "Y",
        "FileStorePath": folder, "DataDictionary": str(STOCK), "ValidateUserDefinedFields": "N",
        "ResetOnLogon": "Y",
    }  # fmt: skip
    table = quickfix.Dictionary()
    for key, value in values.items():
        table.setString(key, value)
    session_id = quickfix.SessionID("FIX.4.4", comp_id, "TANDEM")
    settings = quickfix.SessionSettings()
    settings.set(session_id, table)
    reader = Reader(comp_id.partition("-")[0].lower())
    factory = quickfix.MemoryStoreFactory()
    initiator = quickfix.SocketInitiator(reader, factory, settings)
    dictionary = quickfix.DataDictionary(str(STOCK))
    initiator.start()
    for line in sys.stdin:
        body = line.strip().replace("|", SOH)
        text = f"8=FIX.4.4{SOH}9=0{SOH}{body}10=000{SOH}"
        quickfix.Session.sendToTarget(quickfix.Message(text, dictionary, False), session_id)
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:4])
