"""State, money, matching and stops of the naive exchange in tests/support/oracle.py."""

from __future__ import annotations

from typing import Any, NamedTuple

from engine.core.commands import (
    DefineAccount,
    DefineVenue,
)
from engine.core.events import (
    Event,
    OrderCanceled,
    OrderFilled,
    OrderRestated,
    OrderTriggered,
)
from engine.core.instruments import Instrument
from engine.core.types import (
    PPM,
    CancelReason,
    InstrumentStatus,
    Liquidity,
    OrderTerms,
    OrdStatus,
    OrdType,
    Origin,
    RestateReason,
    Route,
    SelfTrade,
    Side,
    TimeInForce,
)
from engine.core.types import Deposit as DepositRow

DAY_US = 86_400 * 1_000_000
STOPS = (OrdType.STOP, OrdType.STOP_LIMIT)
PRICED = (OrdType.LIMIT, OrdType.STOP_LIMIT)
RESTING_TIFS = (TimeInForce.DAY, TimeInForce.GTC, TimeInForce.GTD)


class Step(NamedTuple):
    """One meeting of an incoming order with a resting one: a trade, or what M-7 says."""

    kind: str
    maker: Order
    qty: int


class Order:
    """An order and where it stands; ``joined`` is its place in time at its level, 0: not there."""

    def __init__(self, terms: OrderTerms, leaves: int, maker_ppm: int, taker_ppm: int) -> None:
        self.terms = terms
        self.leaves = leaves
        self.maker_ppm = maker_ppm
        self.taker_ppm = taker_ppm
        self.status = OrdStatus.NEW
        self.open = True
        self.cum = self.notional = self.fee_parts = self.fees = self.held = 0
        self.shown = self.joined = self.worst = 0
        self.reached = self.triggered = False

    @property
    def waiting(self) -> bool:
        """A stop order that has not been triggered."""
        return self.terms.ord_type in STOPS and not self.triggered

    @property
    def at_market(self) -> bool:
        return self.terms.ord_type in (OrdType.MARKET, OrdType.STOP)

    @property
    def market_buy(self) -> bool:
        return self.at_market and self.terms.side is Side.BUY

    @property
    def display(self) -> int:
        """What the book shows of the order, nothing while it does not rest."""
        return self.shown if self.joined else 0


def ceil_ppm(parts: int) -> int:
    """Atoms of a fee given in millionths of an atom, rounded up (N-3)."""
    return -(-parts // PPM)


def printable(text: str) -> bool:
    return all("!" <= letter <= "~" for letter in text)


class OracleBook:
    """All that happens to an order after it was accepted; ``oracle_turns`` has the turns."""

    busy: list[str]
    doomed: Any
    meet_doom: Any
    interrupt: Any
    stand_in_line: Any
    leave_line: Any

    def __init__(self) -> None:
        self.seq = self.now = 0
        self.venue = DefineVenue(
            Origin("engine"), day_roll_us=0, cascade_max=100,
            closed_orders_kept=1, client_id_window_us=1,
        )  # fmt: skip
        self.assets: dict[str, int] = {}
        self.instruments: dict[str, Instrument] = {}
        self.status: dict[str, InstrumentStatus] = {}
        self.last_price: dict[str, int] = {}
        self.anchor: dict[str, int] = {}
        self.accounts: dict[str, DefineAccount] = {}
        self.barred: set[str] = set()
        self.suspended: set[str] = set()
        self.account_seqs: dict[str, int] = {}
        self.available: dict[tuple[str, str], int] = {}
        self.held: dict[tuple[str, str], int] = {}
        self.fees: dict[str, int] = {}
        self.deposits: dict[str, DepositRow] = {}
        self.orders: list[Order] = []
        self.open: list[Order] = []
        self.client_ids: dict[tuple[str, str], Order] = {}
        self.places = self.trades = 0
        self.work = self.triggers = 0
        self.events: list[Event] = []
        self.in_batch = False

    def emit(self, kind: Any, account: str, *fields: Any) -> None:
        number = 0
        if account in self.accounts:
            number = self.account_seqs[account] = self.account_seqs.get(account, 0) + 1
        self.events.append(kind(account, number, *fields))

    # -- money -------------------------------------------------------------------------

    def credit(self, account: str, asset: str, amount: int) -> None:
        key = (account, asset)
        self.available[key] = self.available.get(key, 0) + amount
        assert self.available[key] >= 0, f"L-2: {key} has {self.available[key]} available"

    def set_hold(self, order: Order, hold: int) -> int:
        """Change what an order holds; returns the change."""
        account, change = order.terms.account, hold - order.held
        asset = self.hold_asset(order)
        order.held = hold
        self.held[account, asset] = self.held.get((account, asset), 0) + change
        self.credit(account, asset, -change)
        return change

    def hold_asset(self, order: Order) -> str:
        instrument = self.instruments[order.terms.symbol]
        return instrument.quote if order.terms.side is Side.BUY else instrument.base

    def hold_needed(self, order: Order, terms: OrderTerms, leaves: int) -> int:
        """L-3, for terms that the order has or shall have."""
        instrument = self.instruments[terms.symbol]
        if terms.side is Side.SELL:
            return leaves * instrument.lot_atoms
        rate = max(order.maker_ppm, order.taker_ppm)
        if terms.ord_type in PRICED:
            notional = terms.price * leaves * instrument.unit
        elif order.waiting:
            return 0  # T-4
        else:
            rate = order.taker_ppm
            plan = self.plan(order, leaves)[: max(0, self.work)]
            prices = [step.maker.terms.price * step.qty for step in plan if step.kind == "trade"]
            notional = sum(prices) * instrument.unit
        return notional + ceil_ppm(order.fee_parts + notional * rate) - ceil_ppm(order.fee_parts)

    def short(self, order: Order, hold: int) -> bool:
        key = (order.terms.account, self.hold_asset(order))
        return hold - order.held > self.available.get(key, 0)

    # -- matching ----------------------------------------------------------------------

    def band(self, symbol: str) -> tuple[int, int]:
        """P-1 and P-2: the lowest and the highest price; 0 and 0 without a band."""
        ppm, anchor = self.instruments[symbol].band_ppm, self.anchor.get(symbol, 0)
        if ppm == 0 or anchor == 0:
            return 0, 0
        inside = [p for p in range(1, 2 * anchor + 1) if abs(p - anchor) * PPM <= anchor * ppm]
        return inside[0], inside[-1]

    def outside(self, symbol: str, price: int) -> bool:
        low, high = self.band(symbol)
        return high > 0 and not low <= price <= high

    def end_of_band(self, t: OrderTerms) -> int:
        """P-4: how far an order without a price may go."""
        return self.band(t.symbol)[t.side is Side.BUY]

    def arrive(self, order: Order) -> None:
        """An order acts: as a stop it waits, else it matches and rests or ends (M-4)."""
        t = order.terms
        if order.waiting:
            order.reached = self.reaches(order, self.last_price.get(t.symbol, 0))
        elif t.symbol in self.busy:
            self.stand_in_line(order)
        else:
            self.act(order)

    def act(self, order: Order) -> None:
        """It is the order's turn (M-4 to M-6, M-10)."""
        t = order.terms
        plan = self.plan(order, order.leaves)
        steps = plan[: max(0, self.work)]
        cut = len(plan) > len(steps)
        possible = sum(step.qty for step in steps if step.kind == "trade")
        fok = t.tif is TimeInForce.FOK
        if (fok and possible < order.leaves) or (t.min_qty > order.cum and possible < t.min_qty):
            if cut and self.work < self.venue.work_max:
                return self.interrupt(order)
            if cut:
                return self.cancel(order, CancelReason.SWEEP_TOO_LARGE)
            return self.cancel(order, CancelReason.FOK_UNFILLABLE if fok else CancelReason.MIN_QTY)
        for step in steps:
            self.work -= 1
            self.meet(order, step)
        if not order.open:
            return
        if cut:
            self.interrupt(order)
        elif order.at_market:
            beyond = order.worst and any(
                o.joined and o.terms.symbol == t.symbol and o.terms.side is not t.side
                for o in self.open
            )
            self.cancel(
                order, CancelReason.PRICE_BAND if beyond else CancelReason.MARKET_REMAINDER
            )
        elif t.tif is TimeInForce.IOC:
            self.cancel(order, CancelReason.IOC_REMAINDER)
        else:
            self.rest(order)

    def rest(self, order: Order) -> None:
        """Show what is left of an order; its last event says so."""
        order.shown = min(order.terms.display_qty or order.leaves, order.leaves)
        self.join(order)
        for index in reversed(range(len(self.events))):
            event: Any = self.events[index]
            if getattr(event, "order", None) is order.terms:
                self.events[index] = event._replace(display=order.shown)
                return
        self.emit(OrderRestated, order.terms.account, order.terms, order.status, order.leaves,
                  order.cum, order.notional, RestateReason.RESTS, 0, order.shown)  # fmt: skip

    def join(self, order: Order) -> None:
        self.places += 1
        order.joined = self.places

    def opposite(self, order: Order) -> list[Order]:
        """Resting orders that this one could trade with, in the order of M-1."""
        sign = 1 if order.terms.side is Side.BUY else -1
        limit = order.worst if order.at_market else order.terms.price
        found = [
            o
            for o in self.open
            if o.joined
            and o.terms.symbol == order.terms.symbol
            and o.terms.side is not order.terms.side
            and (limit == 0 or sign * o.terms.price <= sign * limit)
        ]
        return sorted(found, key=lambda o: (sign * o.terms.price, o.joined))

    def own(self, order: Order, maker: Order) -> bool:
        firms = [self.accounts[o.terms.account].firm for o in (order, maker)]
        return firms[0] == firms[1] and order.terms.stp is not SelfTrade.NONE

    def plan(self, order: Order, leaves: int) -> list[Step]:
        """Everything that matching would do, found without moving anything (M-1, M-7, M-8)."""
        sign = 1 if order.terms.side is Side.BUY else -1
        queue = [
            [sign * o.terms.price, o.joined, o.shown, o.leaves, o] for o in self.opposite(order)
        ]
        steps: list[Step] = []
        place = self.places
        while leaves and queue:
            queue.sort(key=lambda row: row[:2])
            row: Any = queue[0]
            maker = row[4]
            if self.doomed(maker):
                steps.append(Step("doomed", maker, 0))
                queue.pop(0)
                continue
            if self.own(order, maker):
                stp = order.terms.stp
                qty = min(leaves, row[3]) if stp is SelfTrade.DECREMENT else 0
                steps.append(Step(stp.name, maker, qty))
                if stp in (SelfTrade.CANCEL_NEWEST, SelfTrade.CANCEL_BOTH):
                    break
                leaves -= qty
                row[3] -= qty
                if stp is SelfTrade.CANCEL_OLDEST or row[3] == 0:
                    queue.pop(0)
                continue
            qty = min(leaves, row[2])
            steps.append(Step("trade", maker, qty))
            leaves -= qty
            row[2] -= qty
            row[3] -= qty
            if row[3] == 0:
                queue.pop(0)
            elif row[2] == 0:
                place += 1
                row[1], row[2] = place, min(maker.terms.display_qty, row[3])
        return steps

    def lots_for_money(self, order: Order) -> tuple[int, int, bool]:
        """M-9: (lots that the money buys or that bring it in, those of them that would trade,
        whether that is more than one command may do).

        Under DECREMENT own orders met use money up as if they traded.
        """
        instrument = self.instruments[order.terms.symbol]
        money, lots, tradable = order.terms.cash_qty, 0, 0
        for number, step in enumerate(self.plan(order, instrument.max_qty)):
            if number >= self.work:
                return lots, tradable, True
            cost = step.maker.terms.price * instrument.unit
            possible = min(money // cost, step.qty)
            lots += possible
            money -= possible * cost
            if step.kind == "trade":
                tradable += possible
            if possible < step.qty:
                break
        return lots, tradable, False

    def meet(self, order: Order, step: Step) -> None:
        """Do one step of the plan; the incoming order's event comes first (M-3, M-7)."""
        if step.kind == "doomed":
            self.meet_doom(step.maker)
        if step.kind == "trade":
            self.trade(order, step.maker, step.qty)
        if step.kind in ("CANCEL_NEWEST", "CANCEL_BOTH"):
            self.cancel(order, CancelReason.SELF_TRADE)
        if step.kind in ("CANCEL_OLDEST", "CANCEL_BOTH"):
            self.cancel(step.maker, CancelReason.SELF_TRADE)
        if step.kind == "DECREMENT":
            self.decrement(order, step.qty)
            self.decrement(step.maker, step.qty)

    def decrement(self, order: Order, qty: int) -> None:
        if order.leaves == qty:
            return self.cancel(order, CancelReason.SELF_TRADE)
        order.leaves -= qty
        order.shown = min(order.shown, order.leaves)
        total = order.terms.qty - qty
        order.terms = order.terms._replace(
            qty=total, display_qty=min(order.terms.display_qty, total)
        )
        change = 0
        if not (order.at_market and order.terms.side is Side.BUY):
            change = self.set_hold(order, self.hold_needed(order, order.terms, order.leaves))
        self.emit(OrderRestated, order.terms.account, order.terms, order.status, order.leaves,
                  order.cum, order.notional, RestateReason.SELF_TRADE_DECREMENT, change,
                  order.display)  # fmt: skip

    def trade(self, taker: Order, maker: Order, qty: int) -> None:
        self.trades += 1
        price = maker.terms.price
        self.last_price[maker.terms.symbol] = self.anchor[maker.terms.symbol] = price
        self.fill(taker, qty, price, Liquidity.TAKER, taker.taker_ppm)
        maker.shown -= qty
        if maker.shown == 0 and maker.leaves > qty:
            maker.shown = min(maker.terms.display_qty, maker.leaves - qty)
            self.join(maker)
        self.fill(maker, qty, price, Liquidity.MAKER, maker.maker_ppm)
        for stop in self.open:
            if stop.waiting and stop.terms.symbol == maker.terms.symbol:
                stop.reached = stop.reached or self.reaches(stop, price)

    def fill(self, order: Order, qty: int, price: int, liquidity: Liquidity, ppm: int) -> None:
        t = order.terms
        instrument = self.instruments[t.symbol]
        base, cash = qty * instrument.lot_atoms, price * qty * instrument.unit
        order.fee_parts += cash * ppm
        fee = ceil_ppm(order.fee_parts) - order.fees
        order.fees += fee
        order.leaves -= qty
        order.cum += qty
        order.notional += price * qty
        order.status = OrdStatus.PARTIALLY_FILLED if order.leaves else OrdStatus.FILLED
        self.fees[instrument.quote] = self.fees.get(instrument.quote, 0) + fee
        old = order.held
        if order.market_buy:
            hold = old - cash - fee  # exactly what the walk of L-3 has left
        else:
            hold = self.hold_needed(order, t, order.leaves)
        change = self.set_hold(order, hold)
        if t.side is Side.BUY:
            self.credit(t.account, instrument.quote, -cash - fee)
            self.credit(t.account, instrument.base, base)
        else:
            self.credit(t.account, instrument.base, -base)
            self.credit(t.account, instrument.quote, cash - fee)
        if order.leaves == 0:
            self.close(order)
        self.emit(OrderFilled, t.account, t, order.status, order.leaves, order.cum,
                  order.notional, self.trades, qty, price, liquidity, base, cash, fee,
                  order.fees, change, order.display)  # fmt: skip

    def close(self, order: Order) -> None:
        assert order.held == 0, f"L-5: order {order.terms.order_id} closes holding {order.held}"
        order.open = False
        order.joined = order.shown = order.leaves = 0
        self.open.remove(order)
        self.leave_line(order)

    def cancel(
        self, order: Order, reason: CancelReason, client_id: str = "", requester: str = "",
        route: Route | None = None,
    ) -> None:  # fmt: skip
        change = self.set_hold(order, 0)
        self.close(order)
        expired = reason is CancelReason.EXPIRED
        order.status = OrdStatus.EXPIRED if expired else OrdStatus.CANCELED
        self.emit(OrderCanceled, order.terms.account, order.terms, order.status, order.cum,
                  order.notional, reason, client_id, requester, change, route)  # fmt: skip

    # -- stops -------------------------------------------------------------------------

    def reaches(self, order: Order, price: int) -> bool:
        """T-1; there is no price before the first trade."""
        if price == 0:
            return False
        stop = order.terms.stop_price
        return price >= stop if order.terms.side is Side.BUY else price <= stop

    def trigger_stops(self) -> None:
        """T-2 and T-3."""
        while self.triggers > 0 and self.work > 0:
            ready = [o for o in self.ready() if o.terms.symbol not in self.busy]
            if not ready:
                return
            self.trigger(min(ready, key=self.urgency))

    def ready(self) -> list[Order]:
        return [
            o
            for o in self.open
            if o.waiting and o.reached and self.status[o.terms.symbol] is InstrumentStatus.OPEN
        ]

    def urgency(self, order: Order) -> tuple[str, Side, int, int]:
        t = order.terms
        nearest = t.stop_price if t.side is Side.BUY else -t.stop_price
        return t.symbol, t.side, nearest, t.order_id

    def trigger(self, order: Order) -> None:
        self.work -= 1
        self.triggers -= 1
        if self.meet_doom(order):
            return
        order.triggered = True
        order.worst = self.end_of_band(order.terms)
        hold = order.held
        if order.at_market and order.terms.side is Side.BUY:
            hold = self.hold_needed(order, order.terms, order.leaves)
        funded = not self.short(order, hold)
        change = self.set_hold(order, hold) if funded else 0
        self.emit(OrderTriggered, order.terms.account, order.terms, order.leaves, 0, change)
        if not funded:
            return self.cancel(order, CancelReason.STOP_UNFUNDED)  # T-4
        if not order.at_market and self.outside(order.terms.symbol, order.terms.price):
            return self.cancel(order, CancelReason.PRICE_BAND)  # P-5
        self.act(order)
