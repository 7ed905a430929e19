"""A real engine in a thread: exchange, journal, server and sequencer over a folder."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from engine.client import EngineClient
from engine.core.commands import CancelOrder, NewOrder
from engine.core.types import OrdType, Origin, Side, TimeInForce
from engine.journal.base import Journal
from engine.journal.local import LocalJournal
from engine.journal.recovery import recover
from engine.journal.snapshots import SnapshotWriter
from engine.server.ipc import Limits, Server
from engine.server.sequencer import Sequencer
from engine.server.tcp import TcpListener
from engine.server.terms import Bounds
from tests.support import pace
from tests.support.venue import SYMBOL, definitions

WAIT_S = 10.0
Start: TypeAlias = "Callable[..., EngineThread]"


def new_order(number: int | str, **changes: Any) -> NewOrder:
    """A small resting buy order of alice; ``number`` makes its client order id."""
    order = NewOrder(
        Origin("api:alice"), "alice", f"o{number}", SYMBOL, Side.BUY, OrdType.LIMIT,
        TimeInForce.GTC, 1, 1,
    )  # fmt: skip
    return order._replace(**changes)


def cancel(number: int | str) -> CancelOrder:
    """Cancel the order of that number."""
    return CancelOrder(Origin("api:alice"), "alice", f"c{number}", f"o{number}")


class EngineThread:
    """Starts at once; ``stop`` ends it cleanly, ``kill`` without snapshot or checkpoint."""

    def __init__(
        self,
        folder: Path,
        *,
        limits: Limits | None = None,
        bounds: Bounds | None = None,
        wrap: Callable[[LocalJournal], Journal] = lambda journal: journal,
        venue: dict[str, Any] | None = None,
        tcp: TcpListener | None = None,
        **journal_options: Any,
    ) -> None:
        self.folder = folder
        self.path = folder / "run" / "engine.sock"
        self.notes: list[str] = []
        self.local = LocalJournal(folder / "journal", **journal_options)
        self.snapshots = SnapshotWriter(folder / "journal" / "snapshots")
        try:
            self.exchange, self.recovered_from = recover(
                self.local, folder / "journal" / "snapshots", self.notes.append, lambda *a: None
            )
        except BaseException:
            self.local.close()
            raise
        self.snapshots.last_seq = self.recovered_from
        self.server = Server(self.path, limits or Limits(), tcp)
        self.sequencer = Sequencer(
            self.exchange, wrap(self.local), self.server, self.snapshots, boot_id="test",
            bounds=bounds or Bounds(),
        )  # fmt: skip
        if self.exchange.seq == 0:
            for command in definitions(**(venue or {})):
                self.sequencer.submit(command)
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.sequencer.run()
        except BaseException as error:
            self.error = error
            self.server.close()  # As the end of the process would.

    def client(
        self, name: str = "test", *, timeout_s: float | None = None, **options: Any
    ) -> EngineClient:
        """A new client of this engine."""
        wait_s = pace.seconds(5) if timeout_s is None else timeout_s
        return EngineClient(str(self.path), name, timeout_s=wait_s, **options)

    def kill(self) -> None:
        """End as a crash would, as far as a thread can: no last snapshot."""
        self.sequencer.stop()
        self.thread.join(pace.seconds(WAIT_S))
        assert not self.thread.is_alive()
        if self.error is None:
            self.server.close()
        self.local.close()

    def stop(self) -> None:
        """End as SIGTERM does."""
        self.sequencer.stop()
        self.thread.join(pace.seconds(WAIT_S))
        assert not self.thread.is_alive()
        self.server.close()
        self.sequencer.close()
        self.local.close()


class Collector:
    """A subscription callback that keeps what it got and can wait for more."""

    def __init__(self) -> None:
        self.seqs: list[int] = []
        self.transactions: list[Any] = []
        self._changed = threading.Condition()

    def __call__(self, transactions: list[Any]) -> None:
        with self._changed:
            self.transactions += transactions
            self.seqs += [transaction.seq for transaction in transactions]
            self._changed.notify_all()

    def wait_for(self, seq: int) -> None:
        """Until the transaction ``seq`` has come."""
        with self._changed:
            assert self._changed.wait_for(
                lambda: bool(self.seqs) and self.seqs[-1] >= seq, pace.seconds(WAIT_S)
            ), f"seq {seq} did not come, the last was {self.seqs[-1:]}"
