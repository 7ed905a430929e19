"""QuickFIX with many sessions, whose socket is taken as soon as it listens; prints the answer
that the last session has to its Logon.

A process of its own, which ends without a word to QuickFIX: its acceptor cannot be stopped
while its thread runs.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from pathlib import Path

import quickfix

from config.ports import free_ports
from fix_gateway.session.handover import Handover, InnerListener
from tests.fix.rawfix import encode, now_text
from tests.support import pace
from tests.support.quickfix_application import SilentApplication

SESSIONS = 2_000


class Taking(SilentApplication):
    """Puts the client in the stand-in's place when its Logon is read."""

    handover: Handover | None = None



    def fromAdmin(self, message: quickfix.Message, session_id: quickfix.SessionID) -> None:
        assert self.handover is not None
        self.handover.complete()


def main(folder: Path) -> None:
    port = free_ports(1, "")[0]
    settings = quickfix.SessionSettings()
    for number in range(SESSIONS):
        values = quickfix.Dictionary()
        for name, value in (
            ("ConnectionType", "acceptor"), ("SocketAcceptPort", str(port)),
            ("NonStopSession", "Y"), ("UseDataDictionary", "N"),
        ):  # fmt: skip
            values.setString(name, value)
        settings.set(quickfix.SessionID("FIX.4.4", "VENUE", f"C{number:04d}"), values)
    application, stores = Taking(), quickfix.MemoryStoreFactory()
    acceptor = quickfix.SocketAcceptor(application, stores, settings)
    threading.Thread(target=acceptor.block, daemon=True).start()
    inner = InnerListener(port, folder)
    ours, theirs = socket.socketpair()
    ours.settimeout(pace.seconds(5))
    logon = encode(f"35=A|34=1|49=C{SESSIONS - 1:04d}|52={now_text()}|56=VENUE|98=0|108=30|")
    ours.sendall(logon)
    application.handover = inner.handover(theirs, logon, logon)
    application.handover.start()
    try:
        print(ours.recv(4096).decode("ascii"), flush=True)
    except TimeoutError:
        print("no answer", flush=True)
    inner.close()
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
