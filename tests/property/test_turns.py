"""However small the pieces, the trades are those of one turn (rule M-10).

Random arrivals go to an exchange whose commands may do everything at once, and to one whose
commands may do next to nothing, with Ticks in between at random. Each instrument must see the
same trades in the same order, and the same orders rest in the end.

Among the arrivals are stops, FOK and MinQty orders, and firms are suspended and resumed. What is to
be filled whole and would take more than a command may do is canceled (SWEEP_TOO_LARGE): it trades
nothing, and the whole exchange is not given it. A suspension begins when no turn is interrupted,
for it would cut that one short, as the rule allows; its cancels go on between later arrivals. So
do stops arrive, which wait from their arrival on and not from a turn (T-1), and what arrives when
the bound has left only stops over, since it acts before them (T-3); what sets them off, and what
they do themselves, is interrupted like everything.

Where an instrument has a price band, which orders it accepts depends on the last trade, and so on
how far the work is (P-3, P-4). There the whole exchange has no bands and is given what the other
one accepted, an order without a price with the end of the band at its arrival as its limit: the
band is judged on arrival, and nothing else may differ.

TANDEM_PROPERTY_COMMANDS sets how many commands a flow has (default 1,500).
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from engine.core.commands import (
    Command,
    DefineInstrument,
    DefineVenue,
    NewOrder,
    SetAccountStatus,
    Tick,
)
from engine.core.events import (
    Event,
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderRejected,
    OrderTriggered,
)
from engine.core.types import (
    CancelReason,
    Liquidity,
    OrdType,
    Origin,
    RejectReason,
    Side,
    TimeInForce,
)
from tests.support.strategies import ENGINE, Flow, profile_of
from tests.support.venue import new_exchange, violations

COMMANDS = int(os.environ.get("TANDEM_PROPERTY_COMMANDS", "1500"))
FIRST_SEED = int(os.environ.get("TANDEM_SEED", "1"))
SEEDS = range(FIRST_SEED, FIRST_SEED + 8)
LASTING = (TimeInForce.GTC, TimeInForce.DAY)
AT_ONCE = (TimeInForce.IOC, TimeInForce.FOK)
OPERATOR = Origin("operator:test")
NO_BANDS = (0, 0, 0)
BANDS = (200_000, 0, 500_000)


class Venue:
    """One of the two exchanges and what was traded on it."""

    def __init__(self, work_max: int) -> None:
        self.exchange = new_exchange()
        self.work_max = work_max
        self.trades: dict[str, list[tuple[str, int, int, int]]] = {}
        self.interrupted = 0
        self.refused: Counter[RejectReason] = Counter()
        self.triggered = 0
        self.ended: dict[str, CancelReason] = {}

    def accepts(self, now: int, order: NewOrder) -> bool:
        """Enter an order; whether it is accepted. Only a band or a suspension may refuse one."""
        first = self.do(now, order)[0]
        if isinstance(first, OrderRejected):
            assert first.reason in (
                RejectReason.PRICE_OUTSIDE_BAND, RejectReason.ACCOUNT_SUSPENDED
            )  # fmt: skip
            self.refused[first.reason] += 1
            return False
        assert isinstance(first, OrderAccepted)
        return True

    def do(self, now: int, command: Any) -> Sequence[Event]:
        if isinstance(command, DefineVenue):
            command = command._replace(work_max=self.work_max)
        events: Sequence[Event] = self.exchange.apply(self.exchange.seq + 1, now, command)
        for e in events:
            if isinstance(e, OrderFilled):
                row = (e.order.client_order_id, int(e.liquidity), e.last_qty, e.last_price)
                self.trades.setdefault(e.order.symbol, []).append(row)
            self.triggered += isinstance(e, OrderTriggered)
            if isinstance(e, OrderCanceled):
                assert e.reason not in (CancelReason.UNFUNDED, CancelReason.STOP_UNFUNDED)
                self.ended[e.order.client_order_id] = e.reason
        self.interrupted += any(
            e.liquidity is Liquidity.TAKER for e in events if isinstance(e, OrderFilled)
        ) and isinstance(command, Tick)
        return events

    @property
    def unfinished(self) -> bool:
        """Whether Ticks have work to do that was left over."""
        return self.exchange.next_timer() == self.exchange.time_us

    def can_be_overtaken(self, symbol: str) -> bool:
        """Whether a stop that was reached waits for the next command, which acts first (T-3)."""
        book = self.exchange.books[symbol]
        return not book.busy and book.stops.next_reached() is not None

    def finish(self, now: int) -> None:
        while self.unfinished:
            self.do(now, Tick(ENGINE))

    def resting(self) -> dict[str, list[list[tuple[str, int, int]]]]:
        found: dict[str, list[list[tuple[str, int, int]]]] = {}
        for symbol, book in self.exchange.books.items():
            sides = found[symbol] = []
            for side in (book.bids, book.asks):
                rows = []
                for key in side.keys:
                    order = side.levels[abs(key)].head
                    while order is not None:
                        rows.append((order.terms.client_order_id, order.leaves, order.display))
                        order = order.behind
                sides.append(rows)
        return found


def arrivals(seed: int, bands: tuple[int, int, int]) -> Flow:
    stops = 0 if any(bands) else 12
    profile = profile_of(seed)._replace(
        types=(15, 85, stops, stops), odd=0.0, lots_of_money=10**6, open_orders_max=10**6, width=9,
        cascade_max=10_000, bands=bands,
    )  # fmt: skip
    return Flow(seed, profile)


def plain(flow: Flow) -> NewOrder:
    """An arrival whose outcome depends on nothing but the book at its turn."""
    order = flow.new(flow.account())
    tif = order.tif if order.tif in (*LASTING, *AT_ONCE) else TimeInForce.GTC
    if order.cash_qty:
        order = order._replace(cash_qty=0, qty=7)
    if order.ord_type is OrdType.MARKET and tif not in AT_ONCE:
        tif = TimeInForce.IOC
    valid = order.origin._replace(valid_until=0)
    return order._replace(
        tif=tif, min_qty=order.min_qty if tif is TimeInForce.IOC else 0, expire_at=0,
        post_only=False, origin=valid, display_qty=order.display_qty if tif in LASTING else 0,
    )  # fmt: skip


def statuses(flow: Flow, chance: random.Random) -> SetAccountStatus:
    """Suspend or resume an account, most often the latter, so that most may trade."""
    return SetAccountStatus(OPERATOR, flow.account(), chance.random() < 0.4, "why")


def run(seed: int, flow: Flow, bare: Callable[[Any], Any]) -> tuple[Venue, Venue]:
    """The two exchanges after the flow.

    The one of whole turns is told of definitions as ``bare`` has them and of what the other one
    accepted, as an order that no band bounds.
    """
    chance = random.Random(f"ticks {seed}")
    whole, pieces = Venue(10**6), Venue(1 + seed % 4)
    for command in flow.definitions():
        pieces.do(flow.now, command)
        whole.do(flow.now, bare(command))
    told: list[Command] = []
    for _ in range(COMMANDS):
        if chance.random() < 0.01:
            pieces.finish(flow.now)
            told.append(statuses(flow, chance))
            pieces.do(flow.now, told[-1])
        order = plain(flow)
        if order.stop_price or pieces.can_be_overtaken(order.symbol):
            pieces.finish(flow.now)
        worst = pieces.exchange.books[order.symbol].worst(order.side is Side.BUY)
        if pieces.accepts(flow.now, order):
            if worst and not order.price:
                order = order._replace(ord_type=OrdType.LIMIT, price=worst)
            told.append(order)
        while pieces.unfinished and chance.random() < 0.6:
            pieces.do(flow.now, Tick(ENGINE))
    pieces.finish(flow.now)
    too_large = {
        name for name, reason in pieces.ended.items() if reason is CancelReason.SWEEP_TOO_LARGE
    }
    for command in told:
        if not isinstance(command, NewOrder):
            whole.do(flow.now, command)
        elif command.client_order_id not in too_large:
            assert whole.accepts(flow.now, command)
        whole.finish(flow.now)
    assert pieces.interrupted > 0, "turns went on in Ticks all the time"
    assert pieces.trades == whole.trades
    assert pieces.resting() == whole.resting()
    assert violations(pieces.exchange) == []
    assert CancelReason.OPERATOR in pieces.ended.values(), "a suspension canceled something"
    assert pieces.refused[RejectReason.ACCOUNT_SUSPENDED] > 0
    whole_or_not = {CancelReason.FOK_UNFILLABLE, CancelReason.MIN_QTY}
    assert too_large or whole_or_not & {*pieces.ended.values()}
    return whole, pieces


@pytest.mark.timeout(max(120, COMMANDS // 20))
@pytest.mark.parametrize("seed", SEEDS)
def test_M10_the_trades_of_small_pieces_are_those_of_one_turn(seed: int) -> None:
    whole, pieces = run(seed, arrivals(seed, NO_BANDS), lambda command: command)
    assert set(pieces.refused) == {RejectReason.ACCOUNT_SUSPENDED}
    assert whole.triggered == pieces.triggered > 0


@pytest.mark.timeout(max(120, COMMANDS // 20))
@pytest.mark.parametrize("seed", SEEDS)
def test_M10_a_band_is_judged_on_arrival_and_bounds_nothing_later(seed: int) -> None:
    def bare(command: Any) -> Any:
        return command._replace(band_ppm=0) if isinstance(command, DefineInstrument) else command

    _, pieces = run(seed, arrivals(seed, BANDS), bare)
    assert pieces.refused[RejectReason.PRICE_OUTSIDE_BAND] > 10, "the bands are too wide to matter"
