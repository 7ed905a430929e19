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
from tests.support import pace

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
            if session.gate.acquire(timeout=pace.seconds(5)):
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


def gateway_of(tmp_path: Path) -> Gateway:
    settings = GatewaySettings("127.0.0.1", 0, "TANDEM", tmp_path, DICTIONARY)
    alice = SessionSettings("ALICE", "alice", "alice", frozenset({"alice"}), "alice", "")
    return Gateway(settings, [alice], str(tmp_path / "none"), "", lambda: 1, lambda: None)


def test_reports_are_delivered_while_a_reset_waits_for_the_engine(tmp_path: Path) -> None:
    gateway = gateway_of(tmp_path)
    engine: Any = Engine(gateway)
    gateway._entrance._client = engine
    session = gateway.sessions.by_comp_id["ALICE"]
    assert gateway._entrance.reset(session, "141=Y") == ""
    assert engine.delivered
    assert (session.epoch, session.mark) == (1, 0)
    assert session.store.epoch() == 1


def test_a_session_that_left_again_stays_away(tmp_path: Path) -> None:
    # Its reports would be dropped: QuickFIX takes none while both of its numbers are 1.
    delivery = (gateway := gateway_of(tmp_path))._delivery
    session = gateway.sessions.by_comp_id["ALICE"]
    delivery.hold(session, "away")
    delivery.release(session, "away")
    assert session.delivery.reasons == {"away"}
    session.logged_on()
    delivery.release(session, "away")
    assert not session.delivery.reasons and not session.delivery.held
