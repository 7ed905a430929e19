"""What a session whose next Logon empties its store is not told while it logs out is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import quickfix

from fix_gateway.runtime.callbacks import Application, Events
from fix_gateway.runtime.outbox import Outbox
from fix_gateway.session.sender import Sender
from fix_gateway.session.session import Session, Sessions
from fix_gateway.settings import GatewaySettings
from tests.support.fix_settings import session_settings


class Seen(Events):
    """Notes who is leaving, and what was known of it by then."""

    def __init__(self) -> None:
        self.leavers: list[tuple[str, bool]] = []

    def on_logout(self, session: Session) -> None:
        self.leavers.append((session.comp_id, session.logout_received))


@pytest.mark.parametrize(("msg_type", "leavers"), [("5", [("ALICE", True)]), ("0", [])])
def test_a_logout_is_told_before_it_is_answered(
    tmp_path: Path, msg_type: str, leavers: list[Any]
) -> None:
    gateway = GatewaySettings("127.0.0.1", 0, "TANDEM", tmp_path, tmp_path)
    settings = session_settings()
    sessions, seen = Sessions(gateway, [settings]), Seen()
    application = Application(
        sessions, Outbox(10, 0, list), {}, Sender(None), seen, lambda: 0
    )
    message = quickfix.Message(f"8=FIX.4.4\x019=0\x0135={msg_type}\x0134=2\x0110=000\x01", False)
    application.fromAdmin(message, sessions.by_comp_id["ALICE"].id)
    assert seen.leavers == leavers


def test_a_session_and_its_context_have_the_very_settings_of_the_configuration(
    tmp_path: Path,
) -> None:
    gateway = GatewaySettings("127.0.0.1", 0, "TANDEM", tmp_path, tmp_path)
    given = session_settings()
    sessions = Sessions(gateway, [given])
    alice = sessions.by_comp_id["ALICE"]
    assert alice.settings is alice.context.settings is given
    changed = session_settings(reports="firm")
    assert sessions.update([changed]) == []
    assert alice.settings is alice.context.settings is changed
    assert sessions.update([]) == []
    assert alice.settings is alice.context.settings and not alice.settings.enabled
