"""The simulated clients: those that trade, listen, read, and misbehave."""

from __future__ import annotations

from typing import Any, Final

from engine import wire
from engine.client.protocol import EngineError, EngineRefused
from engine.core.authority import speaks_for_firm
from engine.core.commands import Batch, Command, NewOrder, OpenSession, StartEpoch
from engine.core.types import CancelScope, OrdType, Origin, Side, TimeInForce
from engine.wire import Transaction
from tests.prove.simulation.actors import Actor, Handle
from tests.prove.simulation.engine import LIMITS, SimEngine
from tests.prove.simulation.world import World
from tests.support.strategies import ACCOUNTS, MARKETS, profile_of
from tests.support.wide_flow import WideFlow

VALID_US: Final = 5_000_000
THINK_US_MAX: Final = 60_000


class SignedFlow(WideFlow):
    """Every kind of command but sessions and jumps of time; each signed with a token.

    ``work_max`` is the venue's: so small that most commands that do anything at all leave work
    over. Now and then comes what makes much of it: a sweep, a mass cancel, a suspension.
    """

    def __init__(self, seed: int, world: World, name: str, work_max: int) -> None:
        super().__init__(seed, profile_of(seed)._replace(work_max=work_max))
        self._world = world
        self._name = name
        self._tokens = 0
        ours = ("open_session", "close_session", "epoch", "jump")
        self.others = tuple(call for call in self.others if call.__name__ not in ours)

    def next(self) -> tuple[int, Command]:
        if self.chance(0.05):
            much = self.random.choice((self.sweep, self.sweep, self.mass_cancel, self.suspension))
            return self.now, much(self.account())
        return super().next()

    def sweep(self, account: str) -> NewOrder:
        """The largest order at a price that reaches all of the other side."""
        market, side = self.random.choice(MARKETS), self.random.choice(tuple(Side))
        price = market.max_price if side is Side.BUY else 1
        return NewOrder(
            self.origin(account), account, self.client_id(), market.symbol, side, OrdType.LIMIT,
            self.random.choice((TimeInForce.IOC, TimeInForce.GTC)), market.max_qty, price,
        )  # fmt: skip

    def origin(self, account: str) -> Origin:
        self._tokens += 1
        token = f"{self._name}-{self._tokens}"
        until = self._world.now_us + VALID_US
        return Origin(f"api:{account}", 0, 0, token, until, self.random.choice(("ann", "ben")))

    def signed(self) -> Command:
        """The next command, with a token whatever it is."""
        self.now = self._world.now_us
        _, command = self.next()
        origin = self.origin(getattr(command, "account", "") or "alice")
        command = command._replace(origin=origin._replace(source=command.origin.source))
        if isinstance(command, Batch):
            bare = Origin(origin.source)
            entries = tuple(entry._replace(origin=bare) for entry in command.entries)
            command = command._replace(entries=entries)
        return command


class Trader(Actor):
    """Submits signed commands, a few at a time, each until it is answered."""

    def __init__(self, world: World, engine: SimEngine, name: str) -> None:
        super().__init__(world, engine, name)
        seed = world.random.getrandbits(32)
        self.flow = SignedFlow(seed, world, name, engine.exchange.work_max)
        self.acknowledged: dict[str, Transaction] = {}
        self.duplicates = 0
        self.last_seq = 0
        self._width = world.random.choice((1, 3, 8))
        self._waiting: dict[str, Command] = {}
        self._thinking = False

    @property
    def busy(self) -> bool:
        return bool(self._waiting)

    def connected(self) -> None:
        for command in list(self._waiting.values()):
            self._submit(command)
        self._think()

    def _think(self) -> None:
        if not self._thinking:
            self._thinking = True
            self.world.after(self.world.delay_us(THINK_US_MAX), self._act)

    def _act(self) -> None:
        self._thinking = False
        if self.healing or not self.welcomed:
            return
        while len(self._waiting) < self._width:
            command = self.flow.signed()
            self._waiting[command.origin.token] = command
            self._submit(command)
            if self.world.chance(0.02):
                self._submit(command)  # The same signed request again, at once.

    def _submit(self, command: Command) -> None:
        token = command.origin.token
        handle = Handle(lambda value: self._answered(token, value))
        self.request(lambda h: self.core.submit(command, h), handle)

    def _answered(self, token: str, value: Any) -> None:
        transaction = self.outcome(value)
        if transaction is None:
            if isinstance(value, EngineRefused):
                self.world.found(f"{self.name}: {token} was refused: {value}")
            return  # Lost: it is sent again after the next Welcome.
        if transaction.command.origin.token != token:
            self.world.found(f"{self.name} asked for {token}, got {transaction.command.origin}")
        before = self.acknowledged.setdefault(token, transaction)
        if before != transaction:
            self.world.found(f"{self.name}: {token} was answered differently the second time")
        self.duplicates += value.duplicate
        self._waiting.pop(token, None)
        self.last_seq = max(self.last_seq, transaction.seq)
        self.flow.observe(transaction.events)
        self._think()


class Gateway(Actor):
    """A FIX gateway with one session: numbered messages, posted, seen done by subscription.

    When it is started anew it knows nothing but what the engine tells of the session, as
    after a crash; its client then sends everything behind the mark again.
    """

    def __init__(
        self, world: World, engine: SimEngine, name: str, first_epoch: int
    ) -> None:
        super().__init__(world, engine, name)
        self.source = f"fix:{name}"
        self._first_epoch = first_epoch
        self.account = world.random.choice(tuple(ACCOUNTS))
        firm_wide = speaks_for_firm(self.account, ACCOUNTS[self.account])
        self._scopes = [s for s in CancelScope if firm_wide or s is not CancelScope.FIRM]
        self.epoch = 0
        self.sent: dict[int, list[Command]] = {0: []}
        self.seen = 0
        self.mark = 0
        self.restarts = 0
        self._restored = False

    @property
    def busy(self) -> bool:
        return not self._restored or self.mark < len(self.sent[self.epoch])

    def connected(self) -> None:
        self._restored = False
        handle = Handle(self._told)
        self.ask("session", {"session": self.source}, 0, handle)

    def _told(self, value: Any) -> None:
        if isinstance(value, EngineError):
            return
        row = wire.msgspec.msgpack.decode(value.body)
        if row is not None:
            self.epoch, self.mark = row[2], row[3]
            self.sent.setdefault(self.epoch, [])
        begin = self.seen + 1
        handle = Handle(self._subscribed)
        self.request(lambda h: self.core.subscribe(begin, (), h), handle)

    def _subscribed(self, value: Any) -> None:
        if isinstance(value, EngineRefused):
            self.world.found(f"{self.name}: no subscription from {self.seen + 1}: {value}")
        if isinstance(value, EngineError):
            return
        if self.epoch < self._first_epoch:
            self._post([self._next_epoch()])
            return  # It goes on when it hears of it.
        self._opened()

    def _opened(self) -> None:
        self._restored = True
        scope = self.world.random.choice(self._scopes)
        opened = OpenSession(Origin(self.source, self.epoch), self.account, scope, 0)
        self._post([opened, *self.sent[self.epoch][self.mark :]])
        self._later()

    def _later(self) -> None:
        end = self.end
        self.world.after(self.world.delay_us(THINK_US_MAX), lambda: self._act(end))

    def _act(self, end: Any) -> None:
        if end is not self.end or self.healing or not self._restored:
            return
        unanswered = len(self.sent[self.epoch]) - self.mark
        if self.world.chance(0.01) and unanswered == 0:
            # As the real one: nothing is sent until the engine has recorded the reset.
            self._restored = False
            self._post([self._next_epoch()])
            return
        if unanswered < 20:
            self._post([self._message() for _ in range(self.world.random.randint(1, 4))])
        self._later()

    def _next_epoch(self) -> StartEpoch:
        origin = Origin(self.source, self.epoch + 1)
        return StartEpoch(origin, self.account, (0, 0, 0), "reset")

    def _message(self) -> Command:
        """The next message of the session's client."""
        pick, sent = self.world.random, self.sent[self.epoch]
        number = len(sent) + 1
        market = pick.choice(MARKETS)
        order = NewOrder(
            Origin(self.source, self.epoch, number), self.account,
            f"{self.name}-{self.epoch}-{number}", market.symbol, Side(pick.randint(1, 2)),
            OrdType.LIMIT, TimeInForce(pick.choice((1, 1, 3))), market.min_qty,
            market.price + pick.randint(-2, 2),
        )  # fmt: skip
        sent.append(order)
        return order

    def _post(self, commands: list[Command]) -> None:
        if self.end is not None:
            self.end.send(self.core.post(commands))

    def published(self, transaction: Transaction) -> None:
        if transaction.seq != self.seen + 1:
            self.world.found(f"{self.name} got seq {transaction.seq} after {self.seen}")
        self.seen = transaction.seq
        origin = transaction.command.origin
        if origin.source != self.source:
            return
        if isinstance(transaction.command, StartEpoch):
            if type(transaction.events[0]).__name__ == "SessionChanged":
                self.epoch, self.mark = origin.epoch, 0
                self.sent.setdefault(self.epoch, [])
            if not self._restored and self.epoch >= self._first_epoch and self.welcomed:
                self._opened()
        elif origin.num and origin.epoch == self.epoch:
            self.mark = max(self.mark, origin.num)

    def restart(self) -> None:
        """The gateway's process dies and comes back without its memory."""
        self.restarts += 1
        self.disconnect()


class Subscriber(Actor):
    """Listens to everything, or to some accounts, from where it was; slowly at times."""

    def __init__(
        self, world: World, engine: SimEngine, name: str, accounts: tuple[str, ...]
    ) -> None:
        super().__init__(world, engine, name)
        self.accounts = accounts
        self.seen: list[Transaction] = []
        self.drops = 0
        self.numbers: dict[str, int] = {}

    @property
    def last_seq(self) -> int:
        """The last transaction that it has."""
        return self.seen[-1].seq if self.seen else 0

    def connected(self) -> None:
        handle = Handle(self._subscribed)
        begin = self.last_seq + 1
        self.request(lambda h: self.core.subscribe(begin, self.accounts, h), handle)

    def _subscribed(self, value: Any) -> None:
        if isinstance(value, EngineRefused):
            self.world.found(f"{self.name}: no subscription from {self.last_seq + 1}: {value}")

    def published(self, transaction: Transaction) -> None:
        if transaction.seq <= self.last_seq:
            self.world.found(f"{self.name} got seq {transaction.seq} after {self.last_seq}")
        self.seen.append(transaction)
        for event in transaction.events:
            account = event.account
            if not event.account_seq or (self.accounts and account not in self.accounts):
                continue
            expected = self.numbers.get(account, 0) + 1
            if event.account_seq != expected:
                self.world.found(
                    f"{self.name}: account_seq of {account} is {event.account_seq} at seq "
                    f"{transaction.seq}, {expected} was expected"
                )
            self.numbers[account] = event.account_seq

    def dropped(self, seq: int) -> None:
        self.drops += 1
        if not self.accounts and seq != self.last_seq:
            self.world.found(f"{self.name} has {self.last_seq}, Dropped says {seq}")

    def stall(self) -> None:
        """Read nothing for a while."""
        if self.end is not None and self.end.open:
            self.end.pause(self.world.delay_us(6_000_000))


class Reader(Actor):
    """Asks, often for what somebody's last write must be visible in; keeps the answers."""

    def __init__(self, world: World, engine: SimEngine, name: str, traders: list[Trader]) -> None:
        super().__init__(world, engine, name)
        self._traders = traders
        self.answers: dict[int, list[tuple[str, dict[str, Any], bytes]]] = {}
        self.count = 0
        self.behind = 0

    def connected(self) -> None:
        self._act(self.end)

    def _act(self, end: Any) -> None:
        if end is not self.end or self.healing:
            return
        world = self.world
        newest = max(trader.last_seq for trader in self._traders)
        min_seq = world.random.choice((0, newest, newest, newest + 3, newest + 100_000))
        query, arguments = self._question()
        handle = Handle(lambda value: self._answered(query, arguments, min_seq, value))
        self.ask(query, arguments, min_seq, handle)
        world.after(world.delay_us(THINK_US_MAX), lambda: self._act(end))

    def _question(self) -> tuple[str, dict[str, Any]]:
        pick = self.world.random
        account = pick.choice(tuple(ACCOUNTS))
        return pick.choice((
            ("balances", {"account": account}), ("account_snapshot", {"account": account}),
            ("open_orders", {"account": account, "firm_wide": True}),
            ("book", {"symbol": pick.choice(MARKETS).symbol}), ("holds", {"account": account}),
            ("order", {"account": account, "client_order_id": f"c{pick.randint(1, 200)}"}),
            ("withdrawals", {"open_only": True}), ("deposits", {"account": account}),
            ("sessions", {}), ("accounts", {}), ("check", {}), ("state_hash", {}),
        ))  # fmt: skip

    def _answered(self, query: str, arguments: dict[str, Any], min_seq: int, value: Any) -> None:
        if isinstance(value, wire.Answer):
            self.count += 1
            if value.seq < min_seq:
                self.world.found(f"{self.name} wants {min_seq} and is answered as of {value.seq}")
            rows = self.answers.setdefault(value.seq, [])
            rows.append((query, arguments, bytes(value.body)))
        elif isinstance(value, EngineRefused):
            self.behind += value.code == "behind"
            if value.code not in ("behind", "too_many_waiting"):
                self.world.found(f"{self.name}: {query} {arguments} was refused: {value}")


class Vandal(Actor):
    """Sends what is no protocol, half of it, or connects more often than is allowed."""

    def connected(self) -> None:
        end = self.end
        self.world.after(self.world.delay_us(400_000), lambda: self._spoil(end))

    def _spoil(self, end: Any) -> None:
        if end is not self.end or not end.open or self.healing:
            return
        pick = self.world.random
        order = wire.encode_frame(wire.Submit(1, 1, wire.raw(b"\x90")))
        pieces = (
            pick.randbytes(pick.randint(1, 400)),
            wire.HEADER.pack(LIMITS.frame_bytes_max + 1),
            wire.HEADER.pack(50) + b"half of it",
            wire.encode_frame(wire.Hello(1, "again")),
            wire.encode_frame(wire.Submit(1, 99, wire.raw(b"\x90"))),
            order,
            order[:-1],
        )
        end.send(pick.choice(pieces))
        if pick.random() < 0.3:
            for _ in range(pick.randint(1, 6)):
                other = self.engine.connect()
                if other is not None:
                    other.send(pick.choice(pieces))
                    self.world.after(self.world.delay_us(3_000_000), other.close)
        self.world.after(self.world.delay_us(2_000_000), lambda: self._leave(end))

    def _leave(self, end: Any) -> None:
        if end is self.end:
            self.disconnect()
