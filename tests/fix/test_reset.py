"""A new epoch: what may go on while the engine records it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from engine.client import Outcome, Transaction
from engine.core.commands import StartEpoch
from engine.core.events import SessionChanged
from engine.core.types import CancelScope
from fix_gateway.gateway import Gateway
from fix_gateway.settings import GatewaySettings, SessionSettings

DICTIONARY = Path(__file__).parents[2] / "spec" / "FIX44.xml"


class Engine:
    """Answers like EngineClient: only after its reader thread has delivered something."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.delivered = False

    def submit(self, command: StartEpoch) -> Outcome:
        session = self.gateway.sessions.by_comp_id["ALICE"]
        assert session.delivery.held, "delivery must not move the cursor meanwhile"

        def deliver() -> None:
            if session.gate.acquire(timeout=5):
                self.delivered = True
                session.gate.release()

        reader = threading.Thread(target=deliver)
        reader.start()
        reader.join()
        changed = SessionChanged(
            "alice", 1, session.source, "epoch", command.origin.epoch, 0, CancelScope.NONE,
            command.cursor, command.cause,
        )  # fmt: skip
        return Outcome(Transaction(7, 1, command, (changed,)), False)


def test_reports_are_delivered_while_a_reset_waits_for_the_engine(tmp_path: Path) -> None:
    settings = GatewaySettings("127.0.0.1", 0, "TANDEM", tmp_path, DICTIONARY)
    alice = SessionSettings("ALICE", "alice", "alice", frozenset({"alice"}), "alice", "")
    gateway = Gateway(settings, [alice], str(tmp_path / "none"), "", lambda: 1, lambda: None)
    engine: Any = Engine(gateway)
    gateway._client = engine
    session = gateway.sessions.by_comp_id["ALICE"]
    assert gateway._reset(session, "141=Y") == ""
    assert engine.delivered
    assert (session.epoch, session.mark) == (1, 0)
    assert session.store.epoch() == 1
