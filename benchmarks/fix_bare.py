"""A bare QuickFIX acceptor in Python: what the venue's FIX path is measured against.

It has the venue's dictionary and session settings and a store in files or in memory, takes one
string out of QuickFIX and puts one in per report, and answers every order from its callback.
There is no engine, no check, no account and nothing durable behind it. A sell is reported as if
it filled the last buy, without a book; cancels and replaces are reported as done.
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
    """Answers with ExecutionReports of the size that the venue's have."""

    def __init__(self) -> None:
        super().__init__()
        self.dictionary = quickfix.DataDictionary(str(DICTIONARY))
        self.ids = itertools.count(1)
        self.last_buy: dict[str, str] = {}

    def onCreate(self, session: quickfix.SessionID) -> None: ...

    def onLogon(self, session: quickfix.SessionID) -> None: ...

    def onLogout(self, session: quickfix.SessionID) -> None: ...

    def toAdmin(self, message: quickfix.Message, session: quickfix.SessionID) -> None: ...

    def fromAdmin(self, message: quickfix.Message, session: quickfix.SessionID) -> None: ...

    def toApp(self, message: quickfix.Message, session: quickfix.SessionID) -> None: ...

    def fromApp(self, message: quickfix.Message, session: quickfix.SessionID) -> None:
        """Take one string and send one string for each report."""
        fields = [field.split("=", 1) for field in message.toString().split(SOH)[:-1]]
        order = dict(fields)
        kind = order["35"]
        if kind == "E":
            starts = [number for number, (tag, _) in enumerate(fields) if tag == "11"]
            for start, end in itertools.pairwise([*starts, len(fields)]):
                self.report(order | dict(fields[start:end]), session, "0", "0")
            self.send(
                ("8=FIX.4.4", "9=0", "35=N", f"49={order['56']}", f"56={order['49']}",
                 f"66={order['66']}", "68=0", "82=1", "83=1", "429=2", "431=3", "10=000", ""),
                session,
            )  # fmt: skip
        elif kind == "D":
            self.report(order, session, "0", "0")
            if order.get("59") == "0":
                self.traded(order, session)
        else:
            code = {"F": "4", "G": "5"}[kind]
            self.report(order, session, code, "4" if kind == "F" else "0")

    def traded(self, order: dict[str, str], session: quickfix.SessionID) -> None:
        """Report a sell for the day as filled, and the buy before it."""
        if order["54"] == "1":
            self.last_buy = order
        else:
            self.report(self.last_buy, session, "F", "2")
            self.report(order, session, "F", "2")

    def report(
        self, order: dict[str, str], session: quickfix.SessionID, exec_type: str, status: str
    ) -> None:
        number = next(self.ids)
        moment = time.time_ns() // 1000
        seconds, micros = divmod(moment, 1_000_000)
        stamp = time.strftime("%Y%m%d-%H:%M:%S", time.gmtime(seconds)) + f".{micros:06d}"
        qty = order.get("38", "0")
        self.send(
            (
                "8=FIX.4.4", "9=0", "35=8", f"49={order['56']}", f"56={order['49']}",
                "1=alice", "6=0", f"11={order['11']}", "14=0", f"17={number}-0",
                f"37={number}", f"38={qty}", f"39={status}", "40=2",
                f"44={order.get('44', '0')}", f"54={order['54']}", f"55={order['55']}", "59=1",
                f"60={stamp}", f"150={exec_type}", f"151={qty}", f"20001={number}", "20002=0",
                "20007=0", "10=000", "",
            ),
            session,
        )  # fmt: skip

    def send(self, fields: tuple[str, ...], session: quickfix.SessionID) -> None:
        message = quickfix.Message(SOH.join(fields), self.dictionary, False)
        quickfix.Session.sendToTarget(message, session)


def main() -> None:
    """``python -m benchmarks.fix_bare PORT NAME...``; says ``ready`` when it listens.

    With ``--memory`` before the port it stores its messages in memory only.
    """
    arguments = sys.argv[1:]
    in_memory = arguments[0] == "--memory"
    port, *rest = arguments[1:] if in_memory else arguments
    names = list(rest)
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    with tempfile.TemporaryDirectory() as folder:
        gateway = GatewaySettings("127.0.0.1", int(port), "TANDEM", Path(folder), DICTIONARY)
        sessions = [
            SessionSettings(
                comp_id=name.upper(),
                account=name,
                username=name,
                firm=name,
                accounts=frozenset((name,)),
            )
            for name in names
        ]
        settings = quickfix_settings(gateway, sessions, int(port), gateway.dictionary)
        application = Bare()
        store = quickfix.MemoryStoreFactory() if in_memory else quickfix.FileStoreFactory(settings)
        acceptor = quickfix.SocketAcceptor(application, store, settings)
        acceptor.start()
        print("ready", flush=True)
        stopping.wait()
        acceptor.stop()


if __name__ == "__main__":
    main()
