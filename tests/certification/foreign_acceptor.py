"""A small acceptor on QuickFIX, in the place of somebody else's venue: ``PORT FOLDER``.

It takes limit orders, cancels them, and knows no other message of an application; it answers
wrong credentials with a Logout, as FIX 4.4 allows. Writes ``ready`` when it listens, and ends when
its input does.
"""

from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path

import quickfix

from tests.support.quickfix_application import SilentApplication

SOH = "\x01"
PASSWORD = "right"


def fields_of(message: quickfix.Message) -> dict[str, str]:
    """The fields of a message by tag."""
    pairs = (field.partition("=") for field in message.toString().split(SOH)[:-1])
    return {tag: value for tag, _, value in pairs}


class Acceptor(SilentApplication):
    """One book that never trades."""

    def __init__(self) -> None:
        super().__init__()
        self.orders: dict[str, dict[str, str]] = {}
        self.numbers = itertools.count(1)

    def fromAdmin(self, message: quickfix.Message, session_id: quickfix.SessionID) -> None:
        fields = fields_of(message)
        if fields["35"] == "A" and fields.get("554") != PASSWORD:
            raise quickfix.RejectLogon("wrong credentials")

    def fromApp(self, message: quickfix.Message, session_id: quickfix.SessionID) -> None:
        fields = fields_of(message)
        if fields["35"] == "D":
            self.new(fields, session_id)
        elif fields["35"] == "F":
            self.cancel(fields, session_id)
        else:
            raise quickfix.UnsupportedMessageType()

    def new(self, fields: dict[str, str], session_id: quickfix.SessionID) -> None:
        order = {tag: fields[tag] for tag in ("11", "55", "54", "38") if tag in fields}
        order["37"] = f"order-{next(self.numbers)}"
        self.report(order, "0", order["38"], session_id)
        if fields.get("59") == "3":
            self.report(order, "4", "0", session_id)
        else:
            self.orders[fields["11"]] = order

    def cancel(self, fields: dict[str, str], session_id: quickfix.SessionID) -> None:
        order = self.orders.pop(fields["41"], None)
        if order is None:
            text = (
                f"35=9|37=NONE|11={fields['11']}|41={fields['41']}|39=8|434=1|102=1|"
            )
            self.send(text, session_id)
            return
        self.report(order | {"11": fields["11"]}, "4", "0", session_id, f"41={fields['41']}|")

    def report(
        self, order: dict[str, str], kind: str, leaves: str, session_id: quickfix.SessionID,
        more: str = "",
    ) -> None:  # fmt: skip
        self.send(
            f"35=8|37={order['37']}|11={order['11']}|{more}17=exec-{next(self.numbers)}|150={kind}|"
            f"39={kind}|55={order['55']}|54={order['54']}|38={order['38']}|151={leaves}|14=0|6=0|",
            session_id,
        )

    def send(self, text: str, session_id: quickfix.SessionID) -> None:
        whole = f"8=FIX.4.4|9=0|{text}10=000|".replace("|", SOH)
        quickfix.Session.sendToTarget(quickfix.Message(whole, False), session_id)


def main(port: int, folder: Path) -> None:
    """Listen until the input ends."""
    settings, values = quickfix.SessionSettings(), quickfix.Dictionary()
    for key, value in {
        "ConnectionType": "acceptor", "SocketAcceptPort": str(port), "NonStopSession": "Y",
        "FileStorePath": str(folder), "TimestampPrecision": "6", "UseDataDictionary": "Y",
        "DataDictionary": str(Path(__file__).parents[2] / "spec" / "FIX44.xml"),
    }.items():  # fmt: skip
        values.setString(key, value)
    settings.set(quickfix.SessionID("FIX.4.4", "OTHER", "CLIENT"), values)
    application = Acceptor()
    factory = quickfix.FileStoreFactory(settings)
    acceptor = quickfix.SocketAcceptor(application, factory, settings)
    acceptor.start()
    print("ready", flush=True)
    sys.stdin.read()
    os._exit(0)  # QuickFIX's destructors and Python's do not like each other.


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
