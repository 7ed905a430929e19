"""A bare QuickFIX acceptor in Python: what the venue's FIX path is measured against.

It has the venue's dictionary and session settings and a file store, takes one string out of
QuickFIX and puts one in per order, and answers every order from its callback. There is no
engine, no check, no account and nothing durable behind it.
"""

from __future__ import annotations

import itertools
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import quickfix

from config.model import SessionSettings
from fix_gateway.settings import GatewaySettings, quickfix_settings

SOH = "\x01"
DICTIONARY = Path(__file__).parent.parent / "spec" / "FIX44.xml"


class Bare(quickfix.Application):  # type: ignore[misc]
    """Answers D with an ExecutionReport of the size that the venue's has."""

    def __init__(self) -> None:
        super().__init__()
        self.dictionary = quickfix.DataDictionary(str(DICTIONARY))
        self.ids = itertools.count(1)

    def onCreate(self, session: quickfix.SessionID) -> None: ...

    def onLogon(self, session: quickfix.SessionID) -> None: ...

    def onLogout(self, session: quickfix.SessionID) -> None: ...

    def toAdmin(self, message: quickfix.Message, session: quickfix.SessionID) -> None: ...

    def fromAdmin(self, message: quickfix.Message, session: quickfix.SessionID) -> None: ...

    def toApp(self, message: quickfix.Message, session: quickfix.SessionID) -> None: ...

    def fromApp(self, message: quickfix.Message, session: quickfix.SessionID) -> None:
        """Take one string and send one string."""
        order = dict(field.split("=", 1) for field in message.toString().split(SOH)[:-1])
        number = next(self.ids)
        moment = time.time_ns() // 1000
        seconds, micros = divmod(moment, 1_000_000)
        stamp = time.strftime("%Y%m%d-%H:%M:%S", time.gmtime(seconds)) + f".{micros:06d}"
        report = SOH.join(
            (
                "8=FIX.4.4", "9=0", "35=8", f"49={order['56']}", f"56={order['49']}",
                "1=alice", "6=0", f"11={order['11']}", "14=0", f"17={number}-0",
                f"37={number}", f"38={order['38']}", "39=0", "40=2", f"44={order['44']}",
                f"54={order['54']}", f"55={order['55']}", "59=1", f"60={stamp}", "150=0",
                f"151={order['38']}", f"20001={number}", "20002=0", "20007=0", "10=000", "",
            )
        )  # fmt: skip
        quickfix.Session.sendToTarget(quickfix.Message(report, self.dictionary, False), session)


def main() -> None:
    """``python -m benchmarks.fix_bare PORT NAME...``; says ``ready`` when it listens."""
    port, names = int(sys.argv[1]), sys.argv[2:]
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    with tempfile.TemporaryDirectory() as folder:
        gateway = GatewaySettings("127.0.0.1", port, "TANDEM", Path(folder), DICTIONARY)
        sessions = [
            SessionSettings(
                comp_id=name.upper(), account=name, username=name, firm=name,
                accounts=frozenset((name,)),
            )
            for name in names
        ]
        settings = quickfix_settings(gateway, sessions, port, gateway.dictionary)
        application = Bare()
        store = quickfix.FileStoreFactory(settings)
        acceptor = quickfix.SocketAcceptor(application, store, settings)
        acceptor.start()
        print("ready", flush=True)
        stopping.wait()
        acceptor.stop()


if __name__ == "__main__":
    main()
