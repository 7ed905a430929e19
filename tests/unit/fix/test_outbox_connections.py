"""The outbox on a real engine client: a connection that is lost at the worst moment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.client import EngineClient
from engine.core.types import Origin
from engine.wire import Transaction
from fix_gateway.runtime.outbox import Outbox
from fix_gateway.session.session import Session
from fix_gateway.settings import GatewaySettings
from tests.support import pace
from tests.support.fix_settings import session_settings
from tests.unit.engine_shell.harness import EngineThread, new_order


class LosesAtOnce(EngineClient):
    """Says that it is connected, and has lost the connection when that is acted upon."""

    loses = False

    @property
    def connected(self) -> bool:
        found = super().connected
        if self.loses and found and threading.current_thread() is not self._reader:
            self.loses = False
            assert self._connection is not None
            # As when the engine drops a subscriber that is too slow: it can be reached again.
            self._connection.close()
        return found


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EngineThread]:
    running = EngineThread(tmp_path)
    yield running
    running.kill()


@pytest.mark.parametrize("by", ["the thread that submits", "the thread of the outbox"])
def test_a_connection_that_is_lost_while_a_command_is_sent_stops_nobody(
    engine: EngineThread, tmp_path: Path, by: str
) -> None:
    """Nothing waits for a lock that whoever makes the next connection needs as well."""
    gateway = GatewaySettings("127.0.0.1", 0, "TANDEM", tmp_path, tmp_path)
    settings = session_settings()
    session, done = Session(settings, gateway), threading.Event()
    outbox = Outbox(1000, 5_000_000, list)

    def seen(batch: list[Transaction]) -> None:
        for transaction in batch:
            outbox.done(transaction.command.origin)
            if transaction.command.origin.source == "fix:ALICE":
                done.set()
        outbox.flush()

    client = LosesAtOnce(
        str(engine.path), "gateway", on_lost=outbox.lost,
        on_connected=lambda welcome: outbox.connected(),
    )  # fmt: skip
    outbox.start(client)
    client.subscribe(1, seen)
    _await(lambda: outbox.online)
    if by == "the thread of the outbox":
        outbox.online = False  # As while much is under way: then the outbox's thread sends.
    client.loses = True
    command = new_order(1, origin=Origin("fix:ALICE", 0, 1))
    submits = threading.Thread(target=outbox.submit, args=(session, command, 0), daemon=True)
    submits.start()
    submits.join(pace.seconds(5))
    assert not submits.is_alive(), "it waits for ever"
    assert done.wait(pace.seconds(5)), "it is sent on the next connection"
    assert len(outbox) == 0
    client.close()


def _await(wanted: Callable[[], bool]) -> None:
    ready = threading.Event()
    for _ in range(1000):
        if wanted():
            return
        ready.wait(pace.seconds(0.01))
    raise AssertionError("it did not come to it")
