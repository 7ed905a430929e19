"""A small venue in memory for tests of the rules: the real exchange, or the naive oracle.

Defaults: one lot is one atom of BTC and one tick one atom of USD (``unit`` 1), so that every
figure of a test can be worked out in the head. Firms: alice (accounts ``alice`` and
``alice2``), bob, carol; fees 0 unless a test says otherwise.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Any, Protocol, TypeVar

from engine.core.commands import (
    Batch,
    BatchEntry,
    CancelOrder,
    Command,
    DefineAccount,
    DefineAsset,
    DefineInstrument,
    DefineVenue,
    Deposit,
    MassCancel,
    NewOrder,
    ReplaceOrder,
    SetInstrumentStatus,
    Tick,
)
from engine.core.events import Event
from engine.core.types import BatchMode, OrdType, Origin, SelfTrade, Side, TimeInForce
from engine.wire import encode_transaction
from tests.support.oracle import Oracle

E = TypeVar("E")
C = TypeVar("C")
START_US = 1_700_000_000_000_000
DAY_US = 86_400_000_000
SYMBOL = "BTC-USD"
ENGINE = Origin("engine")
RICH = 1_000_000_000
FIRMS = {"alice": "alice", "alice2": "alice", "bob": "bob", "carol": "carol"}


class Applies(Protocol):
    """What the exchange and the oracle have in common."""

    def apply(self, seq: int, time_us: int, command: Command) -> list[Event]:
        """Do one command."""


def new_exchange() -> Any:
    """An empty real exchange."""
    return importlib.import_module("engine.core.exchange").Exchange()


def violations(exchange: Any) -> list[str]:
    """The invariants that do not hold, by the engine's own check."""
    return list(importlib.import_module("engine.core.invariants").violations(exchange))


def definitions(
    *,
    maker: int = 0,
    taker: int = 0,
    stp: SelfTrade = SelfTrade.NONE,
    funds: int = RICH,
    cascade_max: int = 100,
    work_max: int = 500,
    open_orders_max: int = 1000,
    closed_orders_kept: int = 100_000,
    client_id_window_us: int = 30 * DAY_US,
    day_roll_us: int = 0,
    accounts: dict[str, str] | None = None,
) -> Iterable[Command]:
    """The commands that make the small venue."""
    yield DefineVenue(
        ENGINE, day_roll_us, cascade_max, closed_orders_kept, client_id_window_us, work_max
    )
    yield DefineAsset(ENGINE, "BTC", 0)
    yield DefineAsset(ENGINE, "USD", 0)
    yield DefineInstrument(ENGINE, SYMBOL, "BTC", "USD", "1", "1", 1, 1_000_000, 1_000_000)
    for account, firm in (accounts or FIRMS).items():
        yield DefineAccount(ENGINE, account, firm, maker, taker, stp, open_orders_max)
        for asset in ("BTC", "USD") if funds else ():
            yield Deposit(ENGINE, f"genesis:{account}:{asset}", account, asset, funds)


class Venue:
    """Applies commands one after the other and keeps what happened."""

    def __init__(self, exchange: Applies, **settings: Any) -> None:
        self.exchange = exchange
        self.is_oracle = isinstance(exchange, Oracle)
        self.seq = 0
        self.now = START_US
        self.commands: list[tuple[int, Command]] = []
        self.events: list[Any] = []
        self.transactions: list[bytes] = []
        self.ids = 0
        for command in definitions(**settings):
            self.do(command)

    def do(self, command: Command) -> list[Any]:
        """Apply one command, check every invariant, return its events."""
        self.seq += 1
        events = self.exchange.apply(self.seq, self.now, command)
        self.commands.append((self.now, command))
        self.transactions.append(encode_transaction(self.seq, self.now, command, tuple(events)))
        self.events += events
        if not self.is_oracle:
            assert violations(self.exchange) == []
        return events

    def definition(self, kind: type[C], **fields: Any) -> Any:
        """The first command of a kind whose fields have these values, to be changed."""
        for _, command in self.commands:
            if isinstance(command, kind):
                if all(getattr(command, name) == value for name, value in fields.items()):
                    return command
        raise AssertionError(f"no {kind.__name__} with {fields}")

    def origin(self, account: str, **identity: Any) -> Origin:
        return Origin(f"api:{account}", **identity)

    def next_id(self) -> str:
        self.ids += 1
        return f"id{self.ids}"

    # Orders; each returns all events of its command.

    def new(self, account: str, side: Side, qty: int, price: int = 0, **fields: Any) -> list[Any]:
        return self.do(self.new_command(account, side, qty, price, **fields))

    def new_command(
        self, account: str, side: Side, qty: int, price: int = 0, **fields: Any
    ) -> NewOrder:
        fields.setdefault("client_order_id", self.next_id())
        fields.setdefault("origin", self.origin(account))
        fields.setdefault("symbol", SYMBOL)
        fields.setdefault("tif", TimeInForce.GTC)
        stop = fields.get("stop_price", 0)
        kinds = {
            (False, False): OrdType.MARKET, (True, False): OrdType.LIMIT,
            (False, True): OrdType.STOP, (True, True): OrdType.STOP_LIMIT,
        }  # fmt: skip
        fields.setdefault("ord_type", kinds[price != 0, stop != 0])
        return NewOrder(account=account, side=side, qty=qty, price=price, **fields)

    def buy(self, account: str, qty: int, price: int = 0, **fields: Any) -> list[Any]:
        return self.new(account, Side.BUY, qty, price, **fields)

    def sell(self, account: str, qty: int, price: int = 0, **fields: Any) -> list[Any]:
        return self.new(account, Side.SELL, qty, price, **fields)

    def cancel(self, account: str, orig: str = "", order_id: int = 0, **fields: Any) -> list[Any]:
        return self.do(self.cancel_command(account, orig, order_id, **fields))

    def cancel_command(
        self, account: str, orig: str = "", order_id: int = 0, **fields: Any
    ) -> CancelOrder:
        fields.setdefault("client_order_id", self.next_id())
        fields.setdefault("origin", self.origin(account))
        return CancelOrder(
            account=account, orig_client_order_id=orig, order_id=order_id, **fields
        )

    def replace(self, account: str, orig: str = "", **fields: Any) -> list[Any]:
        return self.do(self.replace_command(account, orig, **fields))

    def replace_command(self, account: str, orig: str = "", **fields: Any) -> ReplaceOrder:
        fields.setdefault("client_order_id", self.next_id())
        fields.setdefault("origin", self.origin(account))
        return ReplaceOrder(account=account, orig_client_order_id=orig, **fields)

    def mass_cancel(self, account: str, **fields: Any) -> list[Any]:
        fields.setdefault("client_order_id", self.next_id())
        fields.setdefault("origin", self.origin(account))
        return self.do(MassCancel(account=account, **fields))

    def batch(
        self, account: str, *entries: BatchEntry, mode: BatchMode = BatchMode.INDEPENDENT
    ) -> list[Any]:
        return self.do(Batch(self.origin(account), account, self.next_id(), mode, entries))

    def status(self, status: int, symbol: str = SYMBOL) -> list[Any]:
        return self.do(SetInstrumentStatus(ENGINE, symbol, status))

    def tick(self, advance_us: int = 0) -> list[Any]:
        self.now += advance_us
        return self.do(Tick(ENGINE))

    def finish(self, ticks_max: int = 10_000) -> list[Any]:
        """Tick until nothing is left to go on with; returns the events of those Ticks."""
        found: list[Any] = []
        for _ in range(ticks_max):
            events = self.tick()
            if not events:
                return found
            found += events
        raise AssertionError(f"after {ticks_max} Ticks there is still something to do")

    # What can be known from the events alone.

    def available(self, account: str, asset: str) -> int:
        """Available money, summed up from all events so far."""
        return self.posted(account, asset) - self.held(account, asset)

    def posted(self, account: str, asset: str) -> int:
        return sum(change for a, s, change in map_posted(self.events) if (a, s) == (account, asset))

    def held(self, account: str, asset: str) -> int:
        return sum(change for a, s, change in map_held(self.events) if (a, s) == (account, asset))


def map_posted(events: Iterable[Event]) -> Iterable[tuple[str, str, int]]:
    """(account, asset, change of posted money) of every event, by the words of events.py."""
    for event in events:
        name = type(event).__name__
        e: Any = event
        if name == "OrderFilled":
            base, quote = e.order.symbol.split("-")
            sign = 1 if e.order.side is Side.BUY else -1
            yield e.account, base, sign * e.base_amount
            yield e.account, quote, -sign * e.cash - e.fee
        elif name == "DepositUpdated":
            yield e.account, e.deposit.asset, e.credited_now
        elif name == "WithdrawalUpdated":
            yield e.account, e.withdrawal.asset, -e.posted
        elif name == "Transferred":
            yield e.account, e.asset, e.change


def map_held(events: Iterable[Event]) -> Iterable[tuple[str, str, int]]:
    """(account, asset, change of held money) of every event that has a ``hold_change``."""
    for event in events:
        e: Any = event
        if hasattr(e, "hold_change"):
            if hasattr(e, "order"):
                base, quote = e.order.symbol.split("-")
                yield e.account, quote if e.order.side is Side.BUY else base, e.hold_change
            else:
                yield e.account, e.withdrawal.asset, e.hold_change


def kinds(events: Iterable[Event]) -> list[str]:
    """Names of the events, in order."""
    return [type(event).__name__ for event in events]


def only(events: Iterable[Event], kind: type[E]) -> E:
    """The one event of a kind."""
    found = all_of(events, kind)
    assert len(found) == 1, f"{len(found)} events {kind.__name__} in {list(events)}"
    return found[0]


def all_of(events: Iterable[Event], kind: type[E]) -> list[E]:
    """Every event of a kind, in order."""
    return [event for event in events if isinstance(event, kind)]
