"""Sends one order over FIX and prints its reports, with QuickFIX.

python clients/python/fix_order.py buy BTC-USD 0.5 60000 --id my-first
"""

from __future__ import annotations

import argparse
import queue
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import quickfix

ROOT = Path(__file__).resolve().parent.parent.parent
SETTINGS = ROOT / "clients" / "quickfix-cpp" / "tandem.cfg"
WAIT_S = 10


class Client(quickfix.Application):
    """Logs on with a password and keeps the ExecutionReports in a queue."""

    def __init__(self, username: str, password: str) -> None:
        super().__init__()
        self.username, self.password = username, password
        self.events: queue.Queue[Any] = queue.Queue()

    def toAdmin(self, message: quickfix.Message, session: quickfix.SessionID) -> None:
        if message.getHeader().getField(35) == "A":
            message.setField(553, self.username)
            message.setField(554, self.password)

    def onLogon(self, session: quickfix.SessionID) -> None:
        self.events.put("logged on")

    def fromApp(self, message: quickfix.Message, session: quickfix.SessionID) -> None:
        text = message.toString()
        self.events.put(dict(field.split("=", 1) for field in text.split("\x01")[:-1]))

    def fromAdmin(self, message: quickfix.Message, session: quickfix.SessionID) -> None:
        kind = message.getHeader().getField(35)
        if kind in ("3", "5"):  # Reject, Logout
            text = message.getField(58) if message.isSetField(58) else "no reason was given"
            self.events.put(f"{'rejected' if kind == '3' else 'logged out'}: {text}")

    def onCreate(self, session: quickfix.SessionID) -> None: ...
    def onLogout(self, session: quickfix.SessionID) -> None: ...
    def toApp(self, message: quickfix.Message, session: quickfix.SessionID) -> None: ...


def settings_file(port: int, comp_id: str, folder: Path) -> Path:
    """Return the ready settings with this port and CompID; store and log go below ``folder``."""
    if not folder.is_dir():
        raise SystemExit(f"There is no folder {folder} for QuickFIX's files: make it first.")
    text = SETTINGS.read_text()
    text = text.replace("SocketConnectPort=9878", f"SocketConnectPort={port}")
    text = text.replace("SenderCompID=ALICE", f"SenderCompID={comp_id}")
    text = text.replace("spec/FIX44.xml", str(ROOT / "spec" / "FIX44.xml"))
    text = re.sub(r"=(tandem-(?:store|log))", rf"={folder}/\1", text)
    path = folder / f"{comp_id}.cfg"
    path.write_text(text)
    return path


def new_order(side: str, symbol: str, quantity: str, price: str, name: str) -> quickfix.Message:
    """NewOrderSingle(D): limit, good till canceled."""
    message = quickfix.Message()
    message.getHeader().setField(35, "D")
    now = datetime.now(UTC).strftime("%Y%m%d-%H:%M:%S.%f")
    for tag, value in (
        (11, name), (55, symbol), (54, "1" if side == "buy" else "2"), (38, quantity),
        (40, "2"), (44, price), (59, "1"), (60, now),
    ):  # fmt: skip
        message.setField(tag, value)
    return message


def next_event(client: Client, port: int) -> Any:
    """Return what happens next; end the program if nothing does."""
    try:
        return client.events.get(timeout=WAIT_S)
    except queue.Empty:
        raise SystemExit(
            f"Nothing came from 127.0.0.1:{port} within {WAIT_S} s. Does the venue run there, and "
            "are CompID and password right?"
        ) from None


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("side", choices=("buy", "sell"))
    parser.add_argument("symbol")
    parser.add_argument("quantity")
    parser.add_argument("price")
    parser.add_argument("--id", required=True, help="the client order id")
    parser.add_argument("--firm", default="alice")
    parser.add_argument("--port", type=int, default=9878)
    parser.add_argument("--folder", type=Path, default=Path("."), help="for QuickFIX's files")
    given = parser.parse_args()
    comp_id = given.firm.upper()
    try:
        settings = quickfix.SessionSettings(str(settings_file(given.port, comp_id, given.folder)))
        client = Client(given.firm, f"{given.firm}-demo")
        store = quickfix.FileStoreFactory(settings)
        initiator = quickfix.SocketInitiator(client, store, settings)
        initiator.start()
    except (OSError, quickfix.ConfigError, quickfix.RuntimeError) as error:
        raise SystemExit(f"The session cannot start: {error}") from None
    try:
        # Reports that were missed come first; a real program processes them.
        while (event := next_event(client, given.port)) != "logged on":
            if isinstance(event, str):
                raise SystemExit(f"The venue refused the Logon; {event}")
        order = new_order(given.side, given.symbol, given.quantity, given.price, given.id)
        session = quickfix.SessionID("FIX.4.4", comp_id, "TANDEM")
        quickfix.Session.sendToTarget(order, session)
        while True:
            report = next_event(client, given.port)
            if not isinstance(report, dict):
                raise SystemExit(report)
            if report.get("11") != given.id:
                continue
            print(
                f"ExecType={report['150']} OrdStatus={report['39']} CumQty={report['14']} "
                f"LeavesQty={report['151']} seq={report['20001']} {report.get('58', '')}".rstrip()
            )
            # The order rests or is closed: there is nothing more to wait for.
            crossed = report["150"] == "0" and given.price == report.get("44")
            if report["150"] == "8" or report["151"] == "0" or crossed:
                break
    finally:
        initiator.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
