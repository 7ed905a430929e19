"""What a follower of a cluster does beside the sequencer: the protocol between the two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from engine.core.commands import Command
from engine.core.types import ClusterStatus, Standing
from engine.journal.base import Record
from engine.server.ipc import Connection
from engine.wire import Submit


class Following(Protocol):
    """What a follower does with its clients' commands, and where it gets transactions from."""

    def status(self) -> ClusterStatus | None:
        """What this member knows of the cluster; asked in both roles."""

    def standing(self) -> Standing:
        """Whether this member leads, and how old its state may be; asked in both roles."""

    def forward(self, connection: Connection, frame: Submit, command: Command) -> None:
        """Pass a command on to the leader; its result comes later."""

    def gone(self, connection: Connection) -> None:
        """A client's connection has ended."""

    def arrived(self) -> Sequence[Record]:
        """Return what the leader has committed next, at most a batch."""

    def applied(self, seq: int, now: float) -> None:
        """Hand over the results of transactions up to ``seq``; fail what has waited too long."""

    @property
    def pending(self) -> bool:
        """Whether there is more that has arrived."""
