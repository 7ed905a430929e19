"""A new epoch: what may go on while the engine records it."""

from __future__ import annotations

import errno
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from engine.client import Outcome, Transaction
from engine.core.commands import StartEpoch
from engine.core.events import SessionChanged
from engine.core.types import CancelScope
from fix_gateway.gateway import Gateway
from fix_gateway.session.epochs import EpochError
from fix_gateway.session.life import Event, Hold, OutOfOrder, Progress
from fix_gateway.settings import GatewaySettings
from tests.support import pace
from tests.support.fix_settings import session_settings

DICTIONARY = Path(__file__).parents[2] / "spec" / "FIX44.xml"


class Engine:
    """Answers like EngineClient: only after its reader thread has delivered something."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.delivered = False

    def submit(self, command: StartEpoch) -> Outcome:
        session = self.gateway.sessions.by_comp_id["ALICE"]
        stopped = session.life.progress is Progress.BEHIND
        assert stopped, "delivery must not move the cursor meanwhile"

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


NOBODY: Any = SimpleNamespace(cut=lambda: None)


def gateway_of(tmp_path: Path, *, reset_on_logon: bool = False) -> Gateway:
    settings = GatewaySettings("127.0.0.1", 0, "TANDEM", tmp_path, DICTIONARY)
    alice = session_settings(reset_on_logon=reset_on_logon)
    return Gateway(settings, [alice], str(tmp_path / "none"), "", lambda: 1, lambda: None)


def test_reports_are_delivered_while_a_reset_waits_for_the_engine(tmp_path: Path) -> None:
    gateway = gateway_of(tmp_path)
    engine: Any = Engine(gateway)
    gateway._entrance._client = engine
    session = gateway.sessions.by_comp_id["ALICE"]
    assert session.claim(NOBODY)
    assert gateway._entrance.reset(session, "141=Y") == ""
    assert engine.delivered
    assert (session.epoch, session.last_num_applied) == (1, 0)
    assert session.store.epoch() == 1
    assert not session.life.holds


def test_numbers_begin_again_only_under_a_claim(tmp_path: Path) -> None:
    gateway = gateway_of(tmp_path)
    session = gateway.sessions.by_comp_id["ALICE"]
    with pytest.raises(OutOfOrder, match="RESET_BEGINS in phase FREE"):
        gateway._entrance.reset(session, "141=Y")
    assert session.epoch == 0 and not session.life.holds


def test_a_session_that_left_again_stays_away(tmp_path: Path) -> None:
    # Its reports would be dropped: QuickFIX takes none while both of its numbers are 1.
    gateway = gateway_of(tmp_path, reset_on_logon=True)
    delivery, session = gateway.delivery, gateway.sessions.by_comp_id["ALICE"]
    delivery.pause(session, Event.START)
    delivery.resume(session)
    assert session.life.holds == {Hold.AWAY}
    assert session.claim(NOBODY)
    gateway.on_logon(session)  # Of the last connection, late.
    delivery.resume(session)
    assert session.life.holds == {Hold.AWAY}
    delivery.pause(session, Event.PREPARE)
    session.handle(Event.HAND_OVER)
    gateway.on_logon(session)
    delivery.resume(session)
    assert not session.life.holds and session.life.progress is Progress.IN_STEP
    gateway.on_disconnect(session)
    assert session.life.holds == {Hold.AWAY}


def test_a_store_that_cannot_begin_again_gets_no_report_until_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was stored meanwhile under the old numbers would be lost with them."""
    gateway = gateway_of(tmp_path)
    engine: Any = Engine(gateway)
    gateway._entrance._client = engine
    session = gateway.sessions.by_comp_id["ALICE"]
    full = OSError(errno.ENOSPC, "No space left on device")
    with monkeypatch.context() as away:
        away.setattr(session.store, "set_epoch", Mock(side_effect=full))
        assert session.claim(NOBODY)
        with pytest.raises(EpochError, match="No space left"):
            gateway._entrance.reset(session, "141=Y")
        session.handle(Event.GIVE_BACK)
        assert Hold.STORE in session.life.holds
        session.qf = Mock()
        assert not gateway.delivery.reopen_store(session), "its disk is full"
    assert gateway.delivery.reopen_store(session)
    assert session.qf.reset.call_count == 2, "the store begins again, in the epoch of the engine"
    assert session.store.epoch() == session.epoch == 1
