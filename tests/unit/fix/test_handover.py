"""The inner socket: its folder, and that QuickFIX knows all of its sessions when we take it."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import quickfix

from config.ports import free_ports
from fix_gateway.handover import InnerListener, Passage, own_folder
from tests.fix.rawfix import encode, now_text

SESSIONS = 2_000


def test_a_start_removes_what_killed_gateways_left_and_nothing_of_a_live_one(
    tmp_path: Path,
) -> None:
    parent = tmp_path / "store" / "inner"
    killed, its_lock = own_folder(parent)
    (killed / "inner").touch()
    live, live_lock = own_folder(parent)
    assert killed.exists(), "its lock is still held"
    os.close(its_lock)  # As the kernel does when a process ends, however it ends.
    mine, my_lock = own_folder(parent)
    assert sorted(parent.iterdir()) == sorted([live, mine])
    assert mine.stat().st_mode & 0o777 == 0o700
    os.close(live_lock)
    os.close(my_lock)


class Taking(quickfix.Application):  # type: ignore[misc]
    """Puts the client in the stand-in's place when its Logon is read."""

    passage: Passage | None = None

    def onCreate(self, session_id: quickfix.SessionID) -> None:
        """Made."""

    def onLogon(self, session_id: quickfix.SessionID) -> None:
        """On."""

    def onLogout(self, session_id: quickfix.SessionID) -> None:
        """Off."""

    def toAdmin(self, message: quickfix.Message, session_id: quickfix.SessionID) -> None:
        """Out."""

    def fromAdmin(self, message: quickfix.Message, session_id: quickfix.SessionID) -> None:
        assert self.passage is not None
        self.passage.complete()


def test_quickfix_knows_every_session_before_its_socket_is_taken(tmp_path: Path) -> None:
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
    thread = threading.Thread(target=acceptor.block, daemon=True)
    thread.start()
    inner = InnerListener(port, tmp_path / "inner")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(5)
        logon = encode(f"35=A|34=1|49=C{SESSIONS - 1:04d}|52={now_text()}|56=VENUE|98=0|108=30|")
        ours.sendall(logon)
        application.passage = inner.passage(theirs, logon)
        application.passage.start()
        assert b"\x0135=A\x01" in ours.recv(4096)
    acceptor.stop()
    thread.join(10)
    inner.close()
