"""Gateways that start at the same moment, on an engine that has not seen their session yet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.client import EngineClient, queries
from engine.core.commands import StartEpoch, TakeSession
from fix_gateway.session import holding
from fix_gateway.session.epochs import restore
from fix_gateway.session.session import Session
from fix_gateway.settings import GatewaySettings
from tests.support.fix_settings import session_settings
from tests.unit.engine_shell.harness import EngineThread


def session_of(folder: Path, holder: str) -> Session:
    store = folder / holder
    store.mkdir()
    gateway = GatewaySettings(
        "127.0.0.1", 0, "TANDEM", store, folder, unclean_margin=100, shared=True, holder=holder
    )
    return Session(session_settings(), gateway)


class Interrupted:
    """A client that lets another gateway start before it submits a command of this kind."""

    def __init__(self, client: EngineClient, kind: type, other: Session) -> None:
        self._client, self._kind, self._other = client, kind, other
        self.interrupted = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def submit(self, command: Any) -> Any:
        if type(command) is self._kind and not self.interrupted:
            self.interrupted = True
            if self._kind is StartEpoch:  # It had read the row before this one took the session.
                taken, _ = holding.take(self._other, self._client)
                assert taken.before == "a"
                self._other.held = False  # As ``restore`` has it then.
            else:
                restore(self._other, self._client, None)
        outcome = self._client.submit(command)
        if self.interrupted:
            holding.follow(self._other, outcome.transaction)  # As its subscription has it.
        return outcome


@pytest.mark.parametrize("kind", [TakeSession, StartEpoch])
def test_S7_gateways_that_start_together_leave_a_session_to_one_of_them_or_to_a_logon(
    tmp_path: Path, kind: type
) -> None:
    engine = EngineThread(tmp_path)
    client = engine.client()
    first, second = session_of(tmp_path, "a"), session_of(tmp_path, "b")
    interrupted = Interrupted(client, kind, second)
    restore(first, interrupted, None)  # type: ignore[arg-type]
    assert interrupted.interrupted
    row = client.fetch(queries.Session("fix:ALICE")).value
    assert row is not None
    assert row.epoch <= 1, "an epoch that began is not begun again"
    for session in (first, second):
        assert not session.held or (row.holder, row.term) == (
            session.gateway.holder, session.term
        )  # fmt: skip
    # Whichever the client logs on to takes it.
    taken, _ = holding.take(first, client)
    assert (taken.holder, taken.what) == ("a", "taken")
    client.close()
    engine.stop()
