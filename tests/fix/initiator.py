"""A client program with QuickFIX's own initiator, run as a process by the crash tests.

Sends ``count`` orders at about ``rate`` per second, whether it is connected or not (QuickFIX
keeps what it cannot send and resends it when asked), and writes each report that reaches the
application as one JSON line. On SIGUSR1 it waits until all that it sent is answered, and begins
the numbers again within its session. Ends when told to.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import quickfix

from tests.support import pace
from tests.support.quickfix_application import SilentApplication

SOH = "\x01"


class Client(SilentApplication):
    """Writes each application message to a file, one JSON object per line."""

    def __init__(self, password: str, out: Path) -> None:
        super().__init__()
        self.password = password
        self.out = out.open("a", buffering=1)
        self.logged_on = threading.Event()
        self.answered = 0
        self.news = threading.Condition()

    def onLogon(self, session_id: quickfix.SessionID) -> None:
        self.logged_on.set()

    def toAdmin(self, message: quickfix.Message, session_id: quickfix.SessionID) -> None:
        if message.getHeader().getField(35) == "A":
            message.setField(553, session_id.getSenderCompID().getValue().lower())
            message.setField(554, self.password)

    def fromApp(self, message: quickfix.Message, session_id: quickfix.SessionID) -> None:
        fields = {}
        for field in message.toString().split(SOH)[:-1]:
            tag, _, value = field.partition("=")
            fields.setdefault(tag, value)
        self.out.write(json.dumps(fields) + "\n")
        with self.news:
            self.answered += fields.get("150") in ("0", "8")
            self.news.notify_all()

    def begin_again(self, session_id: quickfix.SessionID, sent: int) -> None:
        """Send a Logon with 141=Y once everything is answered, and do not wait for its answer."""
        with self.news:
            self.news.wait_for(lambda: self.answered >= sent, pace.seconds(20))
        text = f"8=FIX.4.4{SOH}9=0{SOH}35=A{SOH}98=0{SOH}108=5{SOH}141=Y{SOH}10=000{SOH}"
        quickfix.Session.sendToTarget(quickfix.Message(text, False), session_id)


def main(ports: list[str], comp_id: str, folder: Path, count: int, rate: float) -> None:
    """Connect to the first port that takes us, send, and wait for SIGTERM."""
    stop = threading.Event()
    reset = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    signal.signal(signal.SIGUSR1, lambda number, frame: reset.set())
    settings = quickfix.SessionSettings()
    values = {
        "ConnectionType": "initiator", "HeartBtInt": "5", "ReconnectInterval": "1",
        "SocketConnectHost": "127.0.0.1", "SocketConnectPort": ports[0], "NonStopSession": "Y",
        "FileStorePath": str(folder / f"store-{comp_id}"), "TimestampPrecision": "6",
        "DataDictionary": str(Path(__file__).parent.parent.parent / "spec" / "FIX44.xml"),
    }  # fmt: skip
    for index, port in enumerate(ports[1:], 1):
        values |= {f"SocketConnectHost{index}": "127.0.0.1", f"SocketConnectPort{index}": port}
    dictionary = quickfix.Dictionary()
    for key, value in values.items():
        dictionary.setString(key, value)
    session_id = quickfix.SessionID("FIX.4.4", comp_id, "TANDEM")
    settings.set(session_id, dictionary)
    client = Client(f"{comp_id.lower()}-demo", folder / f"{comp_id}.jsonl")
    factory = quickfix.FileStoreFactory(settings)
    initiator = quickfix.SocketInitiator(client, factory, settings)
    initiator.start()
    client.logged_on.wait(pace.seconds(20))
    side, price = ("1", "100") if comp_id == "ALICE" else ("2", "100")
    begin = time.monotonic()
    for number in range(count):
        due = begin + number / rate
        if stop.wait(max(0.0, due - time.monotonic())):
            break
        if reset.is_set():
            reset.clear()
            client.begin_again(session_id, number)
        moment = time.strftime("%Y%m%d-%H:%M:%S", time.gmtime())
        text = (
            f"8=FIX.4.4{SOH}9=0{SOH}35=D{SOH}11={comp_id}-{number}{SOH}55=BTC-USD{SOH}54={side}"
            f"{SOH}60={moment}{SOH}38=0.01{SOH}40=2{SOH}44={price}{SOH}59=1{SOH}10=000{SOH}"
        )
        quickfix.Session.sendToTarget(quickfix.Message(text, False), session_id)
    (folder / f"{comp_id}.sent").touch()
    stop.wait()
    client.out.flush()
    os._exit(0)


if __name__ == "__main__":
    ports, comp_id, folder, count, rate = sys.argv[1:]
    main(ports.split(","), comp_id, Path(folder), int(count), float(rate))
