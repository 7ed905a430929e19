"""Engines that break one promise each: a simulation that does not find them proves nothing."""

from __future__ import annotations

from typing import Any, Final

from engine.core.exchange import Exchange
from engine.server.sequencer import Sequencer
from engine.wire import Ask
from tests.prove.simulation.engine import SimEngine


class PublishesEarly(Sequencer):
    """Subscribers hear of a batch before it is durable."""

    def __init__(self, *parts: Any, **options: Any) -> None:
        super().__init__(*parts, **options)
        self._early = self._publisher.publish
        self._publisher.publish = lambda *batch: None  # type: ignore[method-assign]

    def _commit(self) -> None:
        self._early(self._records, self._transactions)
        self._server.flush(self._monotonic())
        super()._commit()


class ForgetsTokens(Sequencer):
    """A signed request is done as often as it comes."""

    def _take(self, connection: Any, frame: Any, later: Any) -> None:
        self._exchange.tokens.clear()
        super()._take(connection, frame, later)


class ReadsTooEarly(Sequencer):
    """A query does not wait for the sequence that it names."""

    def _serve(self, connection: Any, item: Any) -> None:
        if isinstance(item, Ask):
            item = Ask(item.id, item.query, item.arguments, 0)
        super()._serve(connection, item)


class ResumesOneLate(Sequencer):
    """A subscriber that comes back misses one transaction."""

    def __init__(self, *parts: Any, **options: Any) -> None:
        super().__init__(*parts, **options)
        subscribe = self._publisher.subscribe

        def late(connection: Any, number: int, from_seq: int, accounts: Any) -> None:
            last = self._journal.last_seq
            subscribe(connection, number, from_seq + (1 < from_seq <= last), accounts)

        self._publisher.subscribe = late  # type: ignore[method-assign]


class ClosesAnybodys(Sequencer):
    """The end of any connection closes every session."""

    def _gone(self, connection: Any) -> None:
        for name in self._owners:
            self._owners[name] = connection.number
        super()._gone(connection)


class ForgetsWhatIsLeft(Sequencer):
    """Mass cancels that were in progress when the engine was killed are never finished."""

    def __init__(self, exchange: Exchange, *parts: Any, **options: Any) -> None:
        exchange.purges.clear()
        exchange.wary = False
        super().__init__(exchange, *parts, **options)


class NeverGoesOn(Sequencer):
    """What one command left over is not gone on with."""

    def _inject(self) -> None:
        exchange = self._exchange
        if exchange.next_timer() != exchange.time_us:
            super()._inject()


ENGINES: Final = (
    PublishesEarly, ForgetsTokens, ReadsTooEarly, ResumesOneLate, ClosesAnybodys,
    ForgetsWhatIsLeft, NeverGoesOn,
)  # fmt: skip


def forgets_the_last_batch(engine: SimEngine) -> None:
    """A disk that had not flushed what it said it had: the crash takes the newest records."""
    disk = engine.disk
    keep = max(0, len(disk.bodies) - 3)
    del disk.bodies[keep:], disk.crcs[keep:]
    for seq in [seq for seq in disk.snapshots if seq > keep]:
        del disk.snapshots[seq]

