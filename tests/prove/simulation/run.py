"""One simulation from its seed, and what must hold at its end."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from engine import wire
from engine.core.commands import Batch, DefineVenue, Tick
from engine.core.events import OrderAccepted, OrderCanceled, OrderFilled, OrderTriggered
from engine.core.exchange import Exchange
from engine.core.invariants import violations
from engine.core.types import Liquidity
from engine.journal.base import Record
from engine.journal.recovery import ReplayDiffers, replay_record
from engine.server.queries import Queries
from engine.server.sequencer import Sequencer
from engine.wire import Transaction
from tests.prove.simulation.clients import Gateway, Reader, Subscriber, Trader, Vandal
from tests.prove.simulation.engine import SimEngine
from tests.prove.simulation.storage import Disk, SimJournal
from tests.prove.simulation.world import World
from tests.support.strategies import profile_of
from tests.support.wide_flow import WideFlow

HEAL_US: Final = 120_000_000
FAULT_EVERY_US: Final = 700_000
WORK: Final = (1, 1, 2, 3, 5)
"""So little that what one command leaves over is met all the time (rules M-10, C-10)."""


@dataclass(slots=True)
class Outcome:
    """What one seed did and found."""

    seed: int
    steps: int = 0
    transactions: int = 0
    crashes: int = 0
    amid: int = 0
    pieces: int = 0
    duplicates: int = 0
    connections: int = 0
    drops: int = 0
    answers: int = 0
    digest: str = ""
    findings: list[str] = field(default_factory=list)


class Simulation:
    """A world with one engine and its clients."""

    def __init__(
        self,
        seed: int,
        make: Callable[..., Sequencer] = Sequencer,
        sabotage: Callable[[SimEngine], None] | None = None,
    ) -> None:
        self.world = World(seed)
        self.disk = Disk()
        work_max = self.world.random.choice(WORK)
        profile = profile_of(seed)._replace(work_max=work_max)
        definitions = WideFlow(seed, profile).definitions()
        self.engine = SimEngine(self.world, self.disk, definitions, make)
        if sabotage is not None:
            self.engine.on_crash = lambda: sabotage(self.engine)
        world, engine = self.world, self.engine
        self.traders = [Trader(world, engine, f"t{number}") for number in range(3)]
        self.gateways = [Gateway(world, engine, f"G{number}", number) for number in range(2)]
        self.subscribers = [
            Subscriber(world, engine, "all", ()),
            Subscriber(world, engine, "slow", ()),
            Subscriber(world, engine, "some", ("alice", "bob-2")),
        ]
        self.reader = Reader(world, engine, "reader", self.traders)
        self.vandal = Vandal(world, engine, "vandal")
        self.actors = [
            *self.traders, *self.gateways, *self.subscribers, self.reader, self.vandal
        ]  # fmt: skip
        self._pieces = 0
        self._trouble()

    def run(self, steps: int) -> Outcome:
        """Let the world go on for so many steps, heal it, compare."""
        world = self.world
        while world.steps < steps and not world.findings:
            world.step()
        if not world.findings:
            self._heal()
        if not world.findings:
            self._compare()
        return self._outcome()

    def _trouble(self) -> None:
        """Seeded faults, one after the other, until the world heals."""
        if any(actor.healing for actor in self.actors):
            return
        world = self.world
        kind = world.random.randrange(8)
        if kind < 3 and self.engine.running:
            self.engine.plan_fault()
        elif kind == 3:
            world.random.choice(self.gateways).restart()
        elif kind < 6:
            world.random.choice(self.subscribers[1:]).stall()
        else:
            world.random.choice(self.actors).disconnect()
        world.after(world.delay_us(FAULT_EVERY_US), self._trouble)

    def _heal(self) -> None:
        """No more faults: whoever waits for something must get it."""
        world = self.world
        for actor in self.actors:
            actor.healing = True
        deadline = world.now_us + HEAL_US
        while world.now_us < deadline and not world.findings:
            self.engine.spare()
            world.step()
            if world.steps % 64 == 0 and self._at_rest():
                return
        waiting = [actor.name for actor in self.actors if actor.busy]
        late = [s.name for s in self.subscribers if s.last_seq < self._last_for(s)]
        if self.engine.unfinished:
            world.found("what a command left over is not done after the world healed")
        world.found(f"{waiting} still wait and {late} lack the end after the world healed")

    def _at_rest(self) -> bool:
        last = len(self.disk.bodies)
        heard = all(s.last_seq == self._last_for(s) for s in self.subscribers)
        seen = all(gateway.seen == last for gateway in self.gateways)
        engine = self.engine
        over = engine.running and not engine.unfinished
        return over and heard and seen and not any(a.busy for a in self.actors)

    def _last_for(self, subscriber: Subscriber) -> int:
        """The last transaction that concerns a subscriber."""
        wanted = set(subscriber.accounts)
        for seq in range(len(self.disk.bodies), 0, -1):
            transaction = wire.decode_transaction(self.disk.bodies[seq - 1])
            if not wanted or wanted & wire.transaction_accounts(transaction):
                return seq
        return 0

    def _outcome(self) -> Outcome:
        world = self.world
        digest = hashlib.sha256(b"".join(self.disk.bodies))
        digest.update(f"{world.steps} {world.now_us}".encode())
        return Outcome(
            world.seed, world.steps, len(self.disk.bodies), self.engine.crashes,
            self.engine.amid, self._pieces,
            sum(trader.duplicates for trader in self.traders),
            sum(actor.connections for actor in self.actors),
            sum(subscriber.drops for subscriber in self.subscribers), self.reader.count,
            digest.hexdigest(), world.findings,
        )  # fmt: skip

    # What must hold at the end.

    def _compare(self) -> None:
        journal = [wire.decode_transaction(body) for body in self.disk.bodies]
        self._identities(journal)
        self._sequences(journal)
        self._work(journal)
        self._subscribers(journal)
        self._sessions()
        self._replay()

    def _identities(self, journal: list[Transaction]) -> None:
        """Each token, each number and each client order id was done once; none is missing."""
        found = self.world.found
        tokens = Counter(t.command.origin.token for t in journal if t.command.origin.token)
        accepted: Counter[tuple[str, str]] = Counter()
        numbers: dict[tuple[str, int], list[int]] = {}
        for transaction in journal:
            origin = transaction.command.origin
            if origin.num:
                numbers.setdefault((origin.source, origin.epoch), []).append(origin.num)
            for event in transaction.events:
                if isinstance(event, OrderAccepted):
                    accepted[event.account, event.order.client_order_id] += 1
        for kind in (tokens, accepted):
            for name, count in kind.items():
                if count > 1:
                    found(f"{name} was done {count} times")
        for trader in self.traders:
            for token, transaction in trader.acknowledged.items():
                if tokens[token] != 1 or journal[transaction.seq - 1] != transaction:
                    found(f"{token} was acknowledged as {transaction.seq}, and is not there")
        for gateway in self.gateways:
            for epoch, sent in gateway.sent.items():
                done = numbers.get((gateway.source, epoch), [])
                if done != list(range(1, len(sent) + 1)):
                    found(
                        f"{gateway.name} sent {len(sent)} in epoch {epoch}, and {len(done)} were "
                        f"done, {len(set(done))} different ones"
                    )

    def _sequences(self, journal: list[Transaction]) -> None:
        """seq and account_seq have no gap, and time does not go back."""
        numbers: Counter[str] = Counter()
        before = 0
        for place, transaction in enumerate(journal, 1):
            if transaction.seq != place or transaction.time_us < before:
                self.world.found(f"seq {transaction.seq} stands at {place}, or time went back")
            before = transaction.time_us
            for event in transaction.events:
                if event.account_seq:
                    numbers[event.account] += 1
                    if event.account_seq != numbers[event.account]:
                        self.world.found(f"account_seq of {event.account} at {place}")

    def _work(self, journal: list[Transaction]) -> None:
        """Rule M-10: no command does more than the venue allows; Ticks do what is left."""
        work_max = 0
        for seq, _, command, events in journal:
            if isinstance(command, DefineVenue):
                work_max = command.work_max
            # Orders that end on arrival or on their turn, and cancels that a client names.
            own = {
                event.order.order_id for event in events
                if isinstance(event, OrderAccepted | OrderTriggered)
                or (isinstance(event, OrderFilled) and event.liquidity is Liquidity.TAKER)
            }  # fmt: skip
            named = len(command.entries) if isinstance(command, Batch) else 1
            done = sum(
                isinstance(event, OrderTriggered)
                or (isinstance(event, OrderFilled) and event.liquidity is Liquidity.MAKER)
                or (isinstance(event, OrderCanceled) and event.order.order_id not in own)
                for event in events
            )
            if done > work_max + named:
                self.world.found(f"seq {seq} did {done} things, {work_max} are allowed")
            self._pieces += isinstance(command, Tick) and done > 0

    def _subscribers(self, journal: list[Transaction]) -> None:
        """What was heard is what happened."""
        for subscriber in self.subscribers:
            wanted = set(subscriber.accounts)
            expected = [
                transaction for transaction in journal
                if not wanted or wanted & wire.transaction_accounts(transaction)
            ]  # fmt: skip
            if subscriber.seen != expected[: len(subscriber.seen)]:
                self.world.found(f"{subscriber.name} heard something else than what happened")
            if len(subscriber.seen) != len(expected):
                missing = len(expected) - len(subscriber.seen)
                self.world.found(f"{subscriber.name} lacks {missing} transactions at the end")

    def _sessions(self) -> None:
        """Rule P-11: a session whose gateway is there is open, whatever came of older ones."""
        for gateway in self.gateways:
            session = self.engine.exchange.sessions.get(gateway.source)
            if session is None or not session.connected:
                self.world.found(f"{gateway.source} is closed though its gateway is connected")

    def _replay(self) -> None:
        """The journal gives the state again, and every answer was true as of its seq."""
        exchange, journal = Exchange(), SimJournal(self.disk)
        queries = Queries(exchange, journal, lambda: ("", 0, 0))  # type: ignore[arg-type]
        for seq, body in enumerate(self.disk.bodies, 1):
            try:
                replay_record(exchange, Record(seq, body))
            except ReplayDiffers as error:
                self.world.found(str(error))
                return
            for query, arguments, told in self.reader.answers.get(seq, ()):
                if wire.encode_value(queries.answer(query, dict(arguments))) != told:
                    self.world.found(f"{query} {arguments} was answered wrongly as of {seq}")
        if exchange.state_hash() != self.engine.exchange.state_hash():
            self.world.found("replay gives another state than the engine has")
        for text in violations(exchange):
            self.world.found(text)


def simulate(seed: int, steps: int, **sabotage: Any) -> Outcome:
    """Do the simulation of a seed; the same seed does the same again."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        return Simulation(seed, **sabotage).run(steps)
    finally:
        structlog.configure(**before)
